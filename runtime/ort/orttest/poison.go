package orttest

// #include <malloc.h>
import "C"

// init makes memory that C code asks for hold 0xFF, NaN in every floating type, until something is written there: what
// reads memory that nobody wrote then fails in every run, and not in one of a hundred. A value over 255 is how to say that
// byte: glibc fills with its low byte inverted, and 0 turns it off.
func init() { C.mallopt(C.M_PERTURB, 0x100) }
