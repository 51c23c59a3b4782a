package serve

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// Found is the answer to a search.
type Found struct {
	Items []Item `json:"items"`
}

const (
	defaultFound = 20
	mostFound    = 100
	longestQuery = 200 // bytes
)

// look handles a route that answers from memory: no place is needed.
func (s *Server) look(do func(*models, *http.Request) (any, error)) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		m, err := s.shelf.borrow()
		if err != nil {
			return err
		}
		defer m.giveBack()
		answer, err := do(m, r)
		if err != nil {
			return err
		}
		return write(w, http.StatusOK, "application/json", answer)
	}
}

func user(m *models, r *http.Request) (any, error) {
	id, err := pathRef(r)
	if err != nil {
		return nil, err
	}
	return answered(m.User(id))
}

func item(m *models, r *http.Request) (any, error) {
	id, err := pathRef(r)
	if err != nil {
		return nil, err
	}
	return answered(m.Item(id))
}

func about(m *models, _ *http.Request) (any, error) { return m.info, nil }

// pathRef reads the id of a path: a number is one of the run's tables unless by=source says otherwise, all else the source's.
func pathRef(r *http.Request) (Ref, error) {
	text := r.PathValue("id")
	by := r.URL.Query().Get("by")
	number, err := strconv.ParseInt(text, 10, 32)
	switch isID := err == nil && number > 0; {
	case r.URL.Query().Has("by") && by != "id" && by != "source":
		return Ref{}, malformed("by", fmt.Sprintf("%.40q is neither id nor source", by))
	case by != "source" && isID:
		return Ref{ID: int32(number)}, nil
	case by == "id":
		return Ref{}, malformed("id", fmt.Sprintf("%.40q is no number from 1 to 2147483647", text))
	default:
		return Ref{Source: text}, nil
	}
}

// search goes through all titles, so that it takes a place of the retriever's class.
func (s *Server) search(w http.ResponseWriter, r *http.Request) error {
	m, err := s.shelf.borrow()
	if err != nil {
		return err
	}
	defer m.giveBack()
	text, limit := strings.TrimSpace(r.URL.Query().Get("q")), defaultFound
	if text == "" || len(text) > longestQuery {
		return malformed("q", fmt.Sprintf("give a part of a title, %d bytes at most", longestQuery))
	}
	if r.URL.Query().Has("limit") {
		given := r.URL.Query().Get("limit")
		if limit, err = strconv.Atoi(given); err != nil || limit < 1 || limit > mostFound {
			return malformed("limit", fmt.Sprintf("%.20q is no number from 1 to %d", given, mostFound))
		}
	}
	place, err := s.enter(m, classRetrieve)
	if err != nil {
		return err
	}
	defer place.Leave()
	answer, err := s.run(r.Context(), classRetrieve, place, func(context.Context) (any, error) {
		items, err := m.Search(text, limit)
		return Found{items}, err
	})
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, "application/json", answer)
}

// picture sends the file of an item's picture. Only what is a picture by its first bytes is sent.
func (s *Server) picture(w http.ResponseWriter, r *http.Request) error {
	none := &Error{Status: http.StatusNotFound, Code: codeNotFound, Detail: "the item has no picture"}
	id, err := pathRef(r)
	if err != nil {
		return err
	}
	path, err := s.picturePath(id)
	if err != nil {
		return err
	}
	if path == "" {
		return none
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", path)
	}
	if err != nil {
		return err
	}
	head := make([]byte, 512)
	n, _ := file.ReadAt(head, 0)
	kind := http.DetectContentType(head[:n])
	if !strings.HasPrefix(kind, "image/") {
		return none
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "private, max-age=3600")
	http.ServeContent(w, r, "", info.ModTime(), file)
	return nil
}

func (s *Server) picturePath(id Ref) (string, error) {
	m, err := s.shelf.borrow()
	if err != nil {
		return "", err
	}
	defer m.giveBack()
	return m.Picture(id)
}
