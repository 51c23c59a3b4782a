package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
)

// pictureField is the part of a multipart body that holds the picture.
const pictureField = "image"

// caption handles a picture in a multipart body. It takes its place before it reads: pictures are large, and only so many
// lie in memory as may run or wait.
func (s *Server) caption(w http.ResponseWriter, r *http.Request) error {
	m, err := s.shelf.borrow()
	if err != nil {
		return err
	}
	defer m.giveBack()
	if m.model(modelOf[classCaption]) == nil {
		return &Error{Status: http.StatusUnprocessableEntity, Code: codeNoCaptioner, Detail: "no captioner is loaded"}
	}
	if err := wantType(r, "multipart/form-data"); err != nil {
		return err
	}
	place, err := s.enter(m, classCaption)
	if err != nil {
		return err
	}
	defer place.Leave()
	picture, err := readPicture(r)
	if err != nil {
		return err
	}
	bodyIsRead(w)
	answer, err := s.run(r.Context(), classCaption, place, func(ctx context.Context) (any, error) { return answered(m.Caption(ctx, picture)) })
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, "application/json", answer)
}

// readPicture reads the one part of a multipart body.
func readPicture(r *http.Request) ([]byte, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, malformed("Content-Type", err.Error())
	}
	part, err := form.NextPart()
	if err != nil {
		return nil, badForm(err)
	}
	if part.FormName() != pictureField {
		return nil, malformed(fmt.Sprintf("%.100s", part.FormName()), "there is no such part; the picture's is called "+pictureField)
	}
	picture, err := io.ReadAll(part)
	if err != nil {
		return nil, badForm(err)
	}
	if len(picture) == 0 {
		return nil, malformed(pictureField, "the picture is empty")
	}
	if _, err := form.NextPart(); err == nil {
		return nil, malformed(pictureField, "send one picture a request")
	} else if !errors.Is(err, io.EOF) {
		return nil, badForm(err)
	}
	_, err = io.Copy(io.Discard, r.Body) // to its end: only then a client that hangs up is noticed
	return picture, badBody(err)
}

func badForm(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, multipart.ErrMessageTooLarge) {
		return malformed(pictureField, "the picture is missing; send it as the part "+pictureField)
	}
	return badBody(err)
}
