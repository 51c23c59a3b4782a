package source

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"slices"

	"mllm4rec/data/source/literal"
)

// reviewFields are the keys of a review that matter.
type reviewFields struct{ user, item, rating, timestamp string }

var (
	reviews2014 = reviewFields{"reviewerID", "asin", "overall", "unixReviewTime"}
	reviews2023 = reviewFields{"user_id", "parent_asin", "rating", "timestamp"}
)

// reviews reads one JSON object a line. All three releases write JSON here.
func (a amazon) reviews(ctx context.Context, log Log, row func(Interaction) error) error {
	fields, unit := reviews2014, timeUnits["s"]
	if a.release.kind == "amazon2023" {
		fields, unit = reviews2023, timeUnits["ms"]
	}
	r := &reviewParser{fields: fields}
	file := textFile{path: a.interactions, hint: a.release.hint}
	return file.each(ctx, log, func(line []byte) error {
		if err := r.parse(line); err != nil {
			return err
		}
		return emit(r.user, r.item, r.rating, r.timestamp, unit, row)
	})
}

// reviewParser holds the fields of the last review.
type reviewParser struct {
	scanner                       literal.Scanner
	fields                        reviewFields
	user, item, rating, timestamp []byte
}

func (r *reviewParser) parse(line []byte) error {
	r.user, r.item, r.rating, r.timestamp = r.user[:0], r.item[:0], nil, nil
	s := &r.scanner
	s.Reset(line, literal.JSON)
	err := s.Object(func(key []byte) (err error) {
		switch string(key) {
		case r.fields.user:
			r.user, err = copyText(r.user, s)
		case r.fields.item:
			r.item, err = copyText(r.item, s)
		case r.fields.rating:
			r.rating, err = numberOr(s, BadRating)
		case r.fields.timestamp:
			r.timestamp, err = numberOr(s, BadTimestamp)
		default:
			err = s.Skip()
		}
		return err
	})
	return literalError(err, s, BadJSON)
}

func copyText(into []byte, s *literal.Scanner) ([]byte, error) {
	text, _, err := s.Text()
	return append(into[:0], text...), err
}

func numberOr(s *literal.Scanner, wrong Reason) ([]byte, error) {
	text, _, err := s.Number()
	if errors.Is(err, literal.ErrType) {
		return nil, wrong
	}
	return text, err
}

// literalError turns an error of a scanner into a reason, and makes sure that nothing follows the value.
func literalError(err error, s *literal.Scanner, broken Reason) error {
	if err == nil {
		err = s.End()
	}
	if _, ok := errors.AsType[Reason](err); ok || err == nil {
		return err
	}
	return broken
}

// Items implements Source.
func (a amazon) Items(ctx context.Context, log Log, row func(Item) error) error {
	p := &metaParser{keys: metaKeys[a.release.kind], dialect: literal.JSON, broken: BadJSON, seen: map[string]bool{}}
	if a.release.kind == "amazon2014" {
		p.dialect, p.broken = literal.Python, BadLiteral
	}
	file := textFile{path: a.items, hint: a.release.hint}
	return file.each(ctx, log, func(line []byte) error {
		item, err := p.parse(line)
		if err != nil {
			return err
		}
		if err := checkID(item.ID, EmptyItem); err != nil {
			return err
		}
		return emitItem(item, "", row)
	})
}

// metaKey is what a key of the metadata holds.
type metaKey int

const (
	keyOther metaKey = iota
	keyID
	keyTitle
	keyImage
	keyThumb
	keyCategories
)

// metaKeys are the keys of each release that matter.
var metaKeys = map[string]map[string]metaKey{
	"amazon2014": {"asin": keyID, "title": keyTitle, "imUrl": keyThumb, "categories": keyCategories},
	"amazon2018": {"asin": keyID, "title": keyTitle, "imageURLHighRes": keyImage, "imageURL": keyThumb, "category": keyCategories},
	"amazon2023": {"parent_asin": keyID, "title": keyTitle, "images": keyImage, "categories": keyCategories},
}

// metaParser parses one line of metadata.
type metaParser struct {
	scanner literal.Scanner
	keys    map[string]metaKey
	dialect literal.Dialect
	broken  Reason
	id      []byte
	item    Item
	seen    map[string]bool         // categories of the item
	image   [len(imageSizes)]string // of the first picture, by size
}

func (p *metaParser) parse(line []byte) (Item, error) {
	s := &p.scanner
	s.Reset(line, p.dialect)
	p.id, p.item, p.image = p.id[:0], Item{}, [len(imageSizes)]string{}
	clear(p.seen)
	err := s.Object(p.field)
	if err := literalError(err, s, p.broken); err != nil {
		return Item{}, err
	}
	p.item.ID = p.id
	p.item.ImageURL = p.imageURL()
	return p.item, nil
}

// sizeMark is what Amazon writes into the address of a picture to have it in another size or shape: ._SY300_, ._AC_US75_,
// ._SX38_SY50_CR,0,0,38,50_. Without it comes the picture as it was uploaded. Marks of other kinds, such as the version in
// no-img-sm._CB192198896_.gif, are part of the name.
var sizeMark = regexp.MustCompile(`\._(?:S[A-Z]|U[A-Z]|AC|BO|CR)[^/]*_(\.[A-Za-z]+)$`)

// imageURL is the address of the largest size. The one size of 2014 and the thumbnails of later releases are too small to
// see much on; the sizes above those are kept as they are.
func (p *metaParser) imageURL() string {
	thumb := len(imageSizes) - 1
	p.image[thumb] = sizeMark.ReplaceAllString(p.image[thumb], "$1")
	return cmp.Or(p.image[:]...)
}

func (p *metaParser) field(key []byte) (err error) {
	s := &p.scanner
	switch p.keys[string(key)] {
	case keyID:
		p.id, err = copyText(p.id, s)
	case keyTitle:
		p.item.Title, err = p.title()
	case keyImage:
		err = p.imageValue(0)
	case keyThumb:
		err = p.imageValue(len(imageSizes) - 1)
	case keyCategories:
		err = p.categories()
	default:
		err = s.Skip()
	}
	return err
}

// title reads a title as it stands. A few rows of 2018 hold something else than text; they have none.
func (p *metaParser) title() (string, error) {
	if p.scanner.Kind() != literal.String {
		return "", p.scanner.Skip()
	}
	text, _, err := p.scanner.Text()
	return string(text), err
}

// categories reads a list, or a list of lists, and keeps every name once, in order.
func (p *metaParser) categories() error {
	s := &p.scanner
	switch s.Kind() {
	case literal.List:
		return s.List(p.categories)
	case literal.String:
		text, _, err := s.Text()
		if len(text) > 0 && !p.seen[string(text)] {
			name := string(text)
			p.seen[name] = true
			p.item.Categories = append(p.item.Categories, name)
		}
		return err
	}
	return s.Skip()
}

// imageSizes are the keys of a picture in the 2023 release, largest first.
var imageSizes = [...]string{"hi_res", "large", "thumb"}

// imageValue keeps the first picture, in every size that it has. 2014 has one address, 2018 a list of addresses, 2023 a
// list of objects (JSONL) or an object of lists (as Hugging Face writes it). size is what a bare address counts as.
func (p *metaParser) imageValue(size int) error {
	s := &p.scanner
	switch s.Kind() {
	case literal.String:
		text, _, err := s.Text()
		if p.image[size] == "" {
			p.image[size] = string(text)
		}
		return err
	case literal.List:
		first := true
		return s.List(func() error {
			if !first {
				return s.Skip()
			}
			first = false
			return p.imageValue(size)
		})
	case literal.Object:
		return s.Object(func(key []byte) error {
			if i := slices.Index(imageSizes[:], string(key)); i >= 0 {
				return p.imageValue(i)
			}
			return s.Skip()
		})
	}
	return s.Skip()
}
