package recommend

import (
	"errors"
	"io/fs"
	"path/filepath"

	"mllm4rec/pipeline/images"
	"mllm4rec/runtime/serve"
)

// User is a user of the tables.
func (b *Backend) User(id serve.Ref) (*serve.User, error) {
	user := b.people.find(id)
	if user == 0 {
		return nil, missing(unknownUser, "", "there is no user %s", spell(id))
	}
	found := &serve.User{UserID: user, SourceID: b.people.sources[user], History: []serve.Item{}}
	for _, item := range b.people.history[user] {
		found.History = append(found.History, b.items.item(item))
	}
	return found, nil
}

// Item is an item of the catalogue.
func (b *Backend) Item(id serve.Ref) (*serve.Item, error) {
	found, err := b.findItem(id)
	if err != nil {
		return nil, err
	}
	item := b.items.item(found)
	return &item, nil
}

func (b *Backend) findItem(id serve.Ref) (int32, error) {
	item := b.items.find(id)
	if item == 0 {
		return 0, missing(unknownItem, "", "there is no item %s", spell(id))
	}
	return item, nil
}

// Picture is the file of an item's picture, inside the run's folder of pictures; "" where there is none, or none any more.
func (b *Backend) Picture(id serve.Ref) (string, error) {
	item, err := b.findItem(id)
	if err != nil {
		return "", err
	}
	name, ok := b.items.pictures[item]
	if !ok {
		return "", nil
	}
	switch info, err := b.pictures.Stat(name); {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil: // a link out of the folder, say
		return "", err
	case !info.Mode().IsRegular():
		return "", nil
	}
	return filepath.Join(b.path(images.Folder), filepath.FromSlash(name)), nil
}
