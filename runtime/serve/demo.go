package serve

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// demoFiles serve the page at /.
type demoFiles struct {
	files fs.FS
	http.Handler
}

func demo() demoFiles {
	files := placeholder() // the page is mounted here: page.Files()
	return demoFiles{files, http.FileServerFS(files)}
}

// has says whether there is a file for a path; folders have one where they hold index.html.
func (d demoFiles) has(name string) bool {
	if strings.HasSuffix(name, "/") {
		name += "index.html"
	}
	info, err := fs.Stat(d.files, strings.TrimPrefix(path.Clean(name), "/"))
	return err == nil && !info.IsDir()
}

//go:embed placeholder
var embedded embed.FS

// placeholder stands where the page comes.
func placeholder() fs.FS {
	files, err := fs.Sub(embedded, "placeholder")
	if err != nil {
		panic(err) // of a folder that is embedded
	}
	return files
}
