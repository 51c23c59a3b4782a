package caption

// Ranges are the shapes that TensorRT hears of.
var Ranges = ranges
