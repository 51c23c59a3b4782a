package images

import (
	"context"
	"net/http"
	"strings"

	"mllm4rec/data/table"
	"mllm4rec/internal/web"
)

// origin is where pictures come from. Its methods may be called by several goroutines at once.
type origin interface {
	// find says which picture an item has: a key that is the same for the same picture, and the host that is asked for it.
	// A problem comes with what stands for the picture in the item, if anything does.
	find(item table.Item) (key, host string, why *problem)
	// get brings the file. source is its address or path, also beside an error, which is a *problem or ends the run.
	get(ctx context.Context, key string) (source string, data []byte, err error)
	// remote says that getting a picture again is to be avoided.
	remote() bool
	close() error
}

func open(o Options) (origin, error) {
	switch o.Source {
	case FromFolder:
		return openFolder(o)
	case FromTMDb:
		return openTMDb(o)
	}
	return addresses{web.New(o.web())}, nil
}

func (o Options) web() web.Options {
	return web.Options{PerHost: o.PerHost, Timeout: o.Timeout, MaxBytes: o.MaxBytes, AllowPrivate: o.AllowPrivate, Shorten: o.shorten}
}

// accept keeps servers that can choose from sending formats that are not read.
var accept = http.Header{"Accept": {"image/jpeg,image/png,image/gif,image/webp,image/bmp,image/tiff,*/*;q=0.1"}}

// addresses are the items' image_url; the key is the address.
type addresses struct{ client *web.Client }

func (a addresses) find(item table.Item) (key, host string, why *problem) {
	address := strings.TrimSpace(item.ImageURL)
	if address == "" {
		return "", "", &problem{status: Missing, reason: "no image_url"}
	}
	if host = web.Host(address); host == "" {
		return address, "", &problem{status: Failed, reason: web.NoAddress}
	}
	return address, host, nil
}

func (a addresses) get(ctx context.Context, key string) (source string, data []byte, err error) {
	data, err = a.client.Get(ctx, key, accept)
	return key, data, webProblem(err)
}

func (a addresses) remote() bool { return true }

func (a addresses) close() error { return nil }
