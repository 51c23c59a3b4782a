// Package table holds the Parquet tables that the stages of a run hand to each other: row structs, a streaming writer
// that commits whole files only, a streaming reader that trusts nothing in a file, and a description for people.
//
// The files are plain Apache Parquet (format 2, data pages v1, zstd, three-level LIST columns, TIMESTAMP in milliseconds
// UTC), so that pandas, Polars, DuckDB and Spark read them without a word from us, and may write them too. The same rows
// always give the same bytes.
package table

// Item is a row of items.parquet. Items are numbered densely from 1; 0 is padding everywhere.
type Item struct {
	ItemID     int32    `parquet:"item_id"`
	SourceID   string   `parquet:"source_id"`
	Title      string   `parquet:"title"`
	ImageURL   string   `parquet:"image_url,optional"`  // empty is written as null
	ImagePath  string   `parquet:"image_path,optional"` // empty is written as null
	Categories []string `parquet:"categories,optional,list"`
}

// Image is a row of images.parquet: what became of the picture of one item. Every item has a row, in the order of
// items.parquet.
type Image struct {
	ItemID int32  `parquet:"item_id"`
	Source string `parquet:"source,optional"` // address, or file; empty is written as null
	Status string `parquet:"status"`          // "ok", "missing" (there is none), "failed" or "skipped" (a placeholder)
	Reason string `parquet:"reason,optional"` // why it is not ok
	SHA256 string `parquet:"sha256,optional"` // of the picture's file, in hex, where it came
	Path   string `parquet:"path,optional"`   // of the picture's file, inside the run folder, where it is ok
	Width  int32  `parquet:"width"`           // pixels, 0 where it is not ok
	Height int32  `parquet:"height"`
	Bytes  int64  `parquet:"bytes"` // of the file, 0 where none came
}

// User is a row of users.parquet. Users are numbered densely from 1.
type User struct {
	UserID   int32  `parquet:"user_id"`
	SourceID string `parquet:"source_id"`
}

// Interaction is a row of interactions.parquet: by user, then time, then item.
type Interaction struct {
	UserID    int32   `parquet:"user_id"`
	ItemID    int32   `parquet:"item_id"`
	Rating    float32 `parquet:"rating"`
	Timestamp int64   `parquet:"timestamp,timestamp(millisecond)"` // milliseconds since 1970-01-01 UTC
}

// Sequence is a row of sequences.parquet: one user's items in time order, the last held out for test, the one before
// for validation.
type Sequence struct {
	UserID int32   `parquet:"user_id"`
	Train  []int32 `parquet:"train,list"`
	Val    int32   `parquet:"val"`
	Test   int32   `parquet:"test"`
}

// Candidates is a row of candidates.parquet: what the retriever proposes to one user, best first.
type Candidates struct {
	UserID int32     `parquet:"user_id"`
	Split  string    `parquet:"split"` // "val" or "test"
	Label  int32     `parquet:"label"`
	Items  []int32   `parquet:"items,list"`
	Scores []float32 `parquet:"scores,list"`
}

// Negatives is a row of negatives.parquet: what the retriever proposes after the first Position items of a user's train
// items, best first; the item that came next is among them where it was found. A ranker trains on them.
type Negatives struct {
	UserID   int32   `parquet:"user_id"`
	Position int32   `parquet:"position"`
	Items    []int32 `parquet:"items,list"`
}

// Ranking is a row of rankings.parquet: the candidates of one user as the ranker orders them, best first.
type Ranking struct {
	UserID int32     `parquet:"user_id"`
	Split  string    `parquet:"split"` // "val" or "test"
	Label  int32     `parquet:"label"`
	Items  []int32   `parquet:"items,list"`
	Scores []float32 `parquet:"scores,list"`
}

// Caption is a row of captions.parquet: what a picture shows, in the words of a captioning model.
type Caption struct {
	ItemID      int32  `parquet:"item_id"`
	ImageSHA256 string `parquet:"image_sha256"`      // of the picture's file, in hex
	Caption     string `parquet:"caption"`           // empty where there is none
	Model       string `parquet:"model"`             // its fingerprint, or "table" for another tool's caption
	Settings    string `parquet:"settings,optional"` // how it was asked
	Reason      string `parquet:"reason,optional"`   // why there is none, where that is known
}

// Metric is a row of metrics.parquet: the mean of a metric at k over the users of a subset.
type Metric struct {
	Model  string  `parquet:"model" json:"model"`
	Split  string  `parquet:"split" json:"split"`
	Subset string  `parquet:"subset" json:"subset"`
	Metric string  `parquet:"metric" json:"metric"`
	K      int32   `parquet:"k" json:"k"`
	Value  float64 `parquet:"value" json:"value"`
}
