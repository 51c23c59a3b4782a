package prepare_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"mllm4rec/data/prepare"
	"mllm4rec/data/source"
)

// Anyone's own log: a CSV file with a user, an item and a time in each row.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	log := "who,what,when\nann,tea,1\nann,milk,2\nann,bread,3\nbob,tea,1\nbob,bread,2\nbob,milk,9\nbob,tea,not a time\n"
	if err := os.WriteFile(filepath.Join(dir, "log.csv"), []byte(log), 0o600); err != nil {
		panic(err)
	}
	src, err := source.Open(source.Options{Kind: "csv", Path: dir, Interactions: "log.csv",
		Columns: source.Columns{User: "who", Item: "what", Timestamp: "when"}})
	if err != nil {
		panic(err)
	}
	stats, err := prepare.Run(context.Background(), src, prepare.Options{MinUser: 3, MinItem: 2}, dir, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(stats.Users, "users,", stats.Items, "items,", stats.Interactions, "interactions, rejected:", stats.Rejected)
	// Output: 2 users, 3 items, 6 interactions, rejected: map[timestamp is no number:1]
}
