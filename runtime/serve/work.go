package serve

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// task is an operation on a request of type I: its class, the checks before it takes a place, the work, and the form of the
// answer, which may be nil.
type task[I any] struct {
	class   class                   // noClass where it depends on the request
	classOf func(*models, *I) class // there
	check   func(*I, Limits) error
	do      func(context.Context, *models, *I) (any, error)
	form    func(http.ResponseWriter, *I, any) (any, error)
}

// post handles a task whose request is a JSON body.
func post[I any](s *Server, t task[I]) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		m, err := s.shelf.borrow()
		if err != nil {
			return err
		}
		defer m.giveBack()
		c := t.class
		if c != noClass && m.gates[c].Full() {
			return s.overloaded(m, c) // before its body costs anything
		}
		var request I
		if err := readJSON(r, &request); err != nil {
			return err
		}
		bodyIsRead(w)
		if err := t.check(&request, m.info.Limits); err != nil {
			return err
		}
		if t.classOf != nil {
			c = t.classOf(m, &request)
		}
		place, err := s.enter(m, c)
		if err != nil {
			return err
		}
		defer place.Leave()
		answer, err := s.run(r.Context(), c, place, func(ctx context.Context) (any, error) { return t.do(ctx, m, &request) })
		if err == nil && t.form != nil {
			answer, err = t.form(w, &request, answer)
		}
		if err != nil {
			return err
		}
		return write(w, http.StatusOK, "application/json", answer)
	}
}

// bodyIsRead takes the deadline for slow bodies off the connection, where it would end the work on them.
func bodyIsRead(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // fails where there is no connection, in tests
}

func (s *Server) recommend() task[RecommendRequest] {
	return task[RecommendRequest]{
		classOf: func(m *models, r *RecommendRequest) class {
			if r.Rank == ByRetriever || r.Rank == "" && !m.info.Fusion {
				return classRetrieve
			}
			return classRank
		},
		check: func(r *RecommendRequest, limits Limits) error {
			if r.Rank != "" && r.Rank != ByRetriever && r.Rank != ByLLM && r.Rank != ByFusion {
				return malformed("rank", fmt.Sprintf("%.40q is none of none, llm, fusion", r.Rank))
			}
			return checkWhom(r.UserID, r.History, r.K, limits)
		},
		do: func(ctx context.Context, m *models, r *RecommendRequest) (any, error) {
			return answered(m.Recommend(ctx, *r))
		},
	}
}

func (s *Server) retrieve() task[RetrieveRequest] {
	return task[RetrieveRequest]{
		class: classRetrieve,
		check: func(r *RetrieveRequest, limits Limits) error { return checkWhom(r.UserID, r.History, r.K, limits) },
		do: func(ctx context.Context, m *models, r *RetrieveRequest) (any, error) {
			return answered(m.Retrieve(ctx, *r))
		},
	}
}

func (s *Server) rank() task[RankRequest] {
	return task[RankRequest]{
		class: classRank,
		check: checkRank,
		do:    func(ctx context.Context, m *models, r *RankRequest) (any, error) { return answered(m.Rank(ctx, *r)) },
	}
}

func (s *Server) prompt() task[RankRequest] {
	return task[RankRequest]{
		class: classRetrieve, // no model runs
		check: checkRank,
		do:    func(ctx context.Context, m *models, r *RankRequest) (any, error) { return answered(m.Prompt(ctx, *r)) },
	}
}

// answered keeps a nil pointer from becoming an answer: a backend that gives neither answer nor error is broken.
func answered[T any](answer *T, err error) (any, error) {
	if err == nil && answer == nil {
		err = fmt.Errorf("the backend gave no %T", answer)
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func checkWhom(user *Ref, history *[]Ref, k int, limits Limits) error {
	switch {
	case user == nil && history == nil:
		return malformed("user_id", "name a user in user_id, or give a history (empty for nobody's)")
	case user != nil && history != nil:
		return malformed("user_id", "give user_id or history, not both")
	case k < 0 || limits.K > 0 && k > limits.K:
		return malformed("k", fmt.Sprintf("%d is not from 0 (the default) to %d", k, limits.K))
	case history != nil:
		return checkHistory(*history, limits)
	default:
		return nil
	}
}

func checkRank(r *RankRequest, limits Limits) error {
	switch {
	case len(r.History) == 0:
		return malformed("history", "is empty; the language model orders candidates by what was taken before")
	case len(r.Candidates) == 0:
		return malformed("candidates", "is empty; there is nothing to order")
	default:
		return checkHistory(r.History, limits)
	}
}

func checkHistory(history []Ref, limits Limits) error {
	if limits.History > 0 && len(history) > limits.History {
		return malformed("history", fmt.Sprintf("holds %d items, more than %d; send the latest", len(history), limits.History))
	}
	return nil
}
