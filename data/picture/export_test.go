package picture

// DecodeAtMost is Decode with another limit of pixels.
var DecodeAtMost = decode
