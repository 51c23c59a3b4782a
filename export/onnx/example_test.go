package onnx_test

import (
	"fmt"
	"os"

	"mllm4rec/export/onnx"
)

func ExampleNew() {
	g := onnx.New("linear")
	x := g.Input("x", onnx.Float32, onnx.Sym("batch"), onnx.Num(3))
	w := g.Float32("w", []int64{3, 2}, []float32{1, 2, 3, 4, 5, 6})
	g.Output("y", g.Softmax(g.MatMul(x, w), -1))
	model, err := g.Finish()
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := model.Print(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// ONNX model, IR version 10, by "mllm4rec"
	// operators "" version 21
	// graph "linear"
	// input x float32[batch, 3]
	// weight w float32[3, 2]
	// MatMul_1 float32[batch, 2] = MatMul(x, w)
	// Softmax_2 float32[batch, 2] = Softmax(MatMul_1) {axis=-1}
	// y float32[batch, 2] = Identity(Softmax_2)
	// output y float32[batch, 2]
}

func ExampleGraph_Finish() {
	g := onnx.New("wrong")
	x := g.Input("x", onnx.Float32, onnx.Sym("batch"), onnx.Num(3))
	g.Output("y", g.MatMul(x, x))
	_, err := g.Finish()
	fmt.Println(err)
	// Output: MatMul(x float32[batch, 3], x float32[batch, 3]): inner dimensions 3 and batch differ
}
