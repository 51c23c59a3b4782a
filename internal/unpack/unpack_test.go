package unpack_test

import (
	"archive/tar"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/internal/unpack"
)

type unpacker func(ctx context.Context, archive, dir string, limits unpack.Limits) error

// kinds are both archive formats, made from the same entries.
var kinds = map[string]struct {
	unpack unpacker
	build  func(testing.TB, ...entry) []byte
}{
	"zip":    {unpack.Zip, zipOf},
	"tar.gz": {unpack.TarGz, tarGzOf},
}

func TestUnpacksRegularFilesIntoFolders(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			archive := save(t, kind.build(t, entry{name: "ml/ratings.csv", body: "1,2,3\n"}, entry{name: "ml/a/b.txt", body: ""}, entry{name: "README", body: "x"}))
			dir := filepath.Join(t.TempDir(), "not", "there", "yet")
			check(t, kind.unpack(t.Context(), archive, dir, unpack.Limits{}))
			want := map[string]string{"ml/ratings.csv": "1,2,3\n", "ml/a/b.txt": "", "README": "x"}
			if got := tree(t, dir); !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestReplacesOldFilesAndKeepsOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "a"), []byte("old"), 0o644))
	check(t, os.WriteFile(filepath.Join(dir, "mine"), []byte("stays"), 0o644))
	check(t, unpack.Zip(t.Context(), save(t, zipOf(t, entry{name: "a", body: "new"})), dir, unpack.Limits{}))
	if got := tree(t, dir); !maps.Equal(got, map[string]string{"a": "new", "mine": "stays"}) {
		t.Error(got)
	}
}

func TestTakesNothingWhereOneNameIsTaken(t *testing.T) {
	t.Parallel()
	for taken, want := range map[string]string{"b": "is a folder", "b/c": "not a directory"} {
		dir := t.TempDir()
		check(t, os.MkdirAll(filepath.Join(dir, "b"), 0o755))
		if taken == "b/c" {
			check(t, os.WriteFile(filepath.Join(dir, taken), nil, 0o644))
			taken += "/d"
		}
		before := tree(t, dir)
		err := unpack.Zip(t.Context(), save(t, zipOf(t, entry{name: "a", body: "new"}, entry{name: taken, body: "x"})), dir, unpack.Limits{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", taken, err)
		}
		if got := tree(t, dir); !maps.Equal(got, before) {
			t.Errorf("%s: %v is there", taken, got)
		}
	}
}

func TestKeepTakesOnlyWhatIsWanted(t *testing.T) {
	t.Parallel()
	limits := unpack.Limits{Keep: func(name string) bool { return strings.HasSuffix(name, ".csv") }}
	for name, kind := range kinds {
		dir := t.TempDir()
		check(t, kind.unpack(t.Context(), save(t, kind.build(t, entry{name: "a.csv"}, entry{name: "b.exe"})), dir, limits))
		if got := names(tree(t, dir)); len(got) != 1 || got[0] != "a.csv" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestRefusesAndLeavesNothing(t *testing.T) {
	t.Parallel()
	good := entry{name: "good", body: "good"}
	zeros := strings.Repeat("\x00", 8<<20)
	cases := []struct {
		name, kind, want string
		entries          []entry
		limits           unpack.Limits
	}{
		{"parent folder", "", "outside", []entry{{name: "../evil"}}, unpack.Limits{}},
		{"parent folder in the middle", "", "outside", []entry{{name: "a/../../evil"}}, unpack.Limits{}},
		{"absolute path", "", "outside", []entry{{name: "/etc/evil"}}, unpack.Limits{}},
		{"Windows path", "", "plain relative", []entry{{name: `..\evil`}}, unpack.Limits{}},
		{"staging folder", "", "reserved", []entry{{name: ".unpack-archive/x"}}, unpack.Limits{}},
		{"parent folder, not wanted", "", "outside", []entry{{name: "../evil"}}, unpack.Limits{Keep: func(string) bool { return false }}},
		{"folder used as file", "", `"a"`, []entry{{name: "a/b"}, {name: "a"}}, unpack.Limits{}},
		{"one name twice", "", "twice", []entry{{name: "a", body: "1"}, {name: "./a", body: "2"}}, unpack.Limits{}},
		{"file used as folder", "", `"a/b"`, []entry{{name: "a"}, {name: "a/b"}}, unpack.Limits{}},
		{"symbolic link", "zip", "no regular file", []entry{{name: "a", body: "/etc", mode: fs.ModeSymlink}}, unpack.Limits{}},
		{"device", "zip", "no regular file", []entry{{name: "a", mode: fs.ModeDevice}}, unpack.Limits{}},
		{"symbolic link", "tar.gz", "no regular file", []entry{{name: "a", tar: tar.TypeSymlink, link: "/etc"}}, unpack.Limits{}},
		{"hard link", "tar.gz", "no regular file", []entry{{name: "a", tar: tar.TypeLink, link: "good"}}, unpack.Limits{}},
		{"device", "tar.gz", "no regular file", []entry{{name: "a", tar: tar.TypeChar}}, unpack.Limits{}},
		{"pipe", "tar.gz", "no regular file", []entry{{name: "a", tar: tar.TypeFifo}}, unpack.Limits{}},
		{"bomb by ratio", "", "limit", []entry{{name: "zeros", body: zeros}}, unpack.Limits{}},
		{"bomb by size", "", "limit", []entry{{name: "a", body: "12345"}, {name: "b", body: "12345"}}, unpack.Limits{MaxBytes: 12}},
		{"bomb that is not wanted", "tar.gz", "limit", []entry{{name: "zeros", body: zeros}}, unpack.Limits{Keep: func(string) bool { return false }}},
		{"many files", "", "more than 2 entries", []entry{{name: "1"}, {name: "2"}}, unpack.Limits{MaxFiles: 2}},
	}
	for _, c := range cases {
		for name, kind := range kinds {
			if c.kind != "" && c.kind != name {
				continue
			}
			t.Run(name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				parent := t.TempDir()
				dir := filepath.Join(parent, "dir")
				archive := save(t, kind.build(t, append([]entry{good}, c.entries...)...))
				err := kind.unpack(t.Context(), archive, dir, c.limits)
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), archive) {
					t.Errorf("got error %v, want one with %q and the archive's name", err, c.want)
				}
				if left := tree(t, parent); len(left) != 0 {
					t.Errorf("left %q", names(left))
				}
			})
		}
	}
}

func TestDamagedArchivesLeaveNothing(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds {
		whole := kind.build(t, entry{name: "a", body: strings.Repeat("abc", 1000)}, entry{name: "b", body: "b"})
		for cut := 0; cut < len(whole); cut += 7 {
			dir := t.TempDir()
			if err := kind.unpack(t.Context(), save(t, whole[:cut]), dir, unpack.Limits{}); err == nil {
				t.Errorf("%s cut to %d of %d bytes: no error", name, cut, len(whole))
			}
			if left := tree(t, dir); len(left) != 0 {
				t.Errorf("%s cut to %d bytes left %q", name, cut, names(left))
			}
		}
	}
}

func TestDoesNotFollowLinksInTheTargetFolder(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	check(t, os.Symlink(outside, filepath.Join(dir, "a")))
	if err := unpack.Zip(t.Context(), save(t, zipOf(t, entry{name: "a/evil"})), dir, unpack.Limits{}); err == nil {
		t.Error("no error")
	}
	if left := tree(t, outside); len(left) != 0 {
		t.Errorf("wrote %q outside", names(left))
	}
}

func TestClearsWhatAKilledCallLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(dir, ".unpack-archive", "half"), 0o755))
	check(t, unpack.Zip(t.Context(), save(t, zipOf(t, entry{name: "a"})), dir, unpack.Limits{}))
	entries, err := os.ReadDir(dir)
	check(t, err)
	if len(entries) != 1 || entries[0].Name() != "a" {
		t.Errorf("got %v", entries)
	}
}

func TestCallsForOneArchiveWaitForOneAnother(t *testing.T) {
	t.Parallel()
	archive, dir := save(t, zipOf(t, entry{name: "a", body: strings.Repeat("a", 1<<20)}, entry{name: "b/c", body: "c"})), t.TempDir()
	errs := make(chan error)
	for range 8 {
		go func() { errs <- unpack.Zip(t.Context(), archive, dir, unpack.Limits{}) }()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got := names(tree(t, dir)); len(got) != 2 {
		t.Errorf("got %q", got)
	}
}

func TestCancelledContextStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, kind := range kinds {
		dir := t.TempDir()
		err := kind.unpack(ctx, save(t, kind.build(t, entry{name: "a"})), dir, unpack.Limits{})
		if !errors.Is(err, context.Canceled) || len(tree(t, dir)) != 0 {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
