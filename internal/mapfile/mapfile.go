// Package mapfile reads stretches of big files through memory maps: bytes go from the page cache to whoever converts
// them without a copy between. A stretch stays mapped only while it is read, so that the resident set of a program that
// walks through a model of many gigabytes is that of its largest tensor.
//
// It maps with golang.org/x/sys/unix; golang.org/x/exp/mmap maps whole files and hands out copies only.
package mapfile

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// errCut is what a map's bytes turn into where the file was shortened behind its back.
var errCut = errors.New("the file was cut off, or could not be read, while it was in use")

// View maps size bytes of the file from offset on and calls use with them. They may be read until use returns, by
// goroutines of use under Guard. The caller has checked that the file is as long.
func View(file *os.File, offset, size int64, use func(data []byte) error) error {
	if size == 0 {
		return use(nil)
	}
	skip := offset % int64(os.Getpagesize())
	if offset < 0 || size < 0 || size > int64(^uint(0)>>1)-skip {
		return fmt.Errorf("%s: %d bytes from byte %d on cannot be mapped", file.Name(), size, offset)
	}
	whole, err := unix.Mmap(int(file.Fd()), offset-skip, int(size+skip), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("%s: mapping %d bytes from byte %d on: %w", file.Name(), size, offset, err)
	}
	_ = unix.Madvise(whole, unix.MADV_WILLNEED)
	err = Guard(func() error { return use(whole[skip:]) })
	if unmapped := unix.Munmap(whole); err == nil {
		err = unmapped
	}
	runtime.KeepAlive(file)
	if errors.Is(err, errCut) {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	return err
}

// Guard calls read and turns a fault in mapped memory, which would end the process, into an error. Goroutines that read
// what View gave them do so under a Guard of their own.
func Guard(read func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		problem := recover()
		if problem == nil {
			return
		}
		if _, fault := problem.(interface{ Addr() uintptr }); !fault {
			panic(problem)
		}
		err = errCut
	}()
	return read()
}
