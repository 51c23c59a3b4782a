package serve

import (
	"io/fs"
	"net/http"
	"path"
	"strings"

	"mllm4rec/runtime/serve/page"
)

// demoFiles serve the page at /.
type demoFiles struct {
	files fs.FS
	http.Handler
}

func demo() demoFiles {
	files := page.Files()
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
