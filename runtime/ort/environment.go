package ort

import (
	"fmt"
	"path/filepath"
	"sync"

	onnx "github.com/yalue/onnxruntime_go"

	"mllm4rec/internal/fail"
)

// environment is ONNX Runtime's own, of which a process has one. It is never destroyed: sessions of other goroutines
// may use it, and the process's end frees it.
var environment struct {
	sync.Mutex
	library string
}

// start loads the library and makes the environment, once. A later call with another library is an error.
func start(option string) error {
	environment.Lock()
	defer environment.Unlock()
	if environment.library != "" && option == "" {
		return nil
	}
	library, err := FindLibrary(option)
	if err != nil {
		return err
	}
	if library, err = filepath.EvalSymlinks(library); err == nil {
		library, err = filepath.Abs(library)
	}
	if err != nil {
		return err
	}
	switch environment.library {
	case library:
		return nil
	case "":
		return load(library)
	}
	return fail.Usagef("ONNX Runtime was loaded from %s already; one process cannot load %s too", environment.library, library)
}

func load(library string) error {
	if err := checkVersion(library); err != nil {
		return err
	}
	defer keepSignals()()
	// Errors come back from the calls that they belong to; the log would print them, and every Ctrl-C, a second time.
	onnx.SetSharedLibraryPath(library)
	if err := onnx.InitializeEnvironment(onnx.WithLogLevelFatal()); err != nil {
		return fmt.Errorf("%s: ONNX Runtime did not start: %w", library, err)
	}
	environment.library = library
	return nil
}
