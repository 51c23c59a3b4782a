// Package page holds the demo page of the service: a history in, the order of both models beside each other. It is plain
// HTML, CSS and JavaScript modules that call the service's own interface (package serve) by addresses relative to the
// page; it needs nothing else and runs under the content security policy "default-src 'self'".
package page

import (
	"embed"
	"io/fs"
)

//go:embed files
var files embed.FS

// Files are the page's files; index.html is the page.
func Files() fs.FS {
	sub, err := fs.Sub(files, "files")
	if err != nil {
		panic(err) // "files" is a valid path, the one reason to fail
	}
	return sub
}
