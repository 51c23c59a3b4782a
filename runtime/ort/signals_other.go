//go:build !linux

package ort

// keepSignals has nothing to keep where there is no CUDA provider.
func keepSignals() func() { return func() {} }
