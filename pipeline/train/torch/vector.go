package torch

import _ "embed"

// VectorHeader is vector.h, which packages beside this one include. Go's build cache does not look at headers of other
// folders; that it is part of this package makes it compile them again when the header changes.
//
//go:embed vector.h
var VectorHeader string
