//go:build race

package serve_test

// raceDetector says that it slows everything down.
const raceDetector = true
