package recommend

import (
	"fmt"
	"net/http"
	"strconv"

	"mllm4rec/internal/fail"
	"mllm4rec/runtime/serve"
)

// What clients are told, by codes that stay the same.
const (
	badRequest      = "bad_request"
	unknownUser     = "unknown_user"
	unknownItem     = "unknown_item"
	unknownCategory = "unknown_category"
	outOfRange      = "out_of_range"
	emptyHistory    = "empty_history"
	noCandidates    = "no_candidates"
	cannotRank      = "cannot_rank"
	noRanker        = "no_ranker"
	noCaptioner     = "no_captioner"
	badPicture      = "bad_picture"
)

func malformed(field, format string, args ...any) error {
	return &serve.Error{Status: http.StatusBadRequest, Code: badRequest, Field: field, Detail: fmt.Sprintf(format, args...)}
}

func missing(code, field, format string, args ...any) error {
	return &serve.Error{Status: http.StatusNotFound, Code: code, Field: field, Detail: fmt.Sprintf(format, args...)}
}

func refused(code, field, format string, args ...any) error {
	return &serve.Error{Status: http.StatusUnprocessableEntity, Code: code, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// tooMany refuses a list that is longer than most.
func tooMany(field string, n, most int) error {
	if n <= most {
		return nil
	}
	return refused(outOfRange, field, "%d are given; %d are read at most", n, most)
}

// asRefusal makes what a prompt has no room for the client's error: only clients' texts have not been tried by Open.
func asRefusal(err error) error {
	if fail.IsUsage(err) {
		return refused(cannotRank, "", "%v", err)
	}
	return err
}

// spell is a reference as the client wrote it.
func spell(r serve.Ref) string {
	if r.ID != 0 {
		return strconv.Itoa(int(r.ID))
	}
	return strconv.Quote(r.Source)
}
