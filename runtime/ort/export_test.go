package ort

// ForgetWarnings lets a test see again what a process tells once.
func ForgetWarnings() { warned.Clear() }
