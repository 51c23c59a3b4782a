//go:build !race

package serve_test

// raceDetector says that nothing slows the tests down.
const raceDetector = false
