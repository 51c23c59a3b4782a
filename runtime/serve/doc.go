// Package serve answers over HTTP what comes next for a history: requests flow in, answers of a Backend flow out, and
// the page that shows them to people. What it promises of limits, errors and draining is in docs/serving.md.
package serve
