// Package configs holds the recipes (*.yaml) and the one typed Config that they load into.
//
// A value comes from, each above the one before: the default (Default), the recipe file, the environment
// (MLLM4REC_RETRIEVER_DROPOUT=0.3), --set key=value, a flag. Load merges them, refuses keys that it does not know and
// checks every value, all in one place; Loaded says where each value came from. A relative path in a recipe is relative to
// the working directory of the command, wherever the recipe itself lies.
package configs

// Config is one run: what is read, trained, evaluated and where it is written. The tags are the key's name in a recipe,
// what is allowed (go-playground/validator) and what it means; docs/recipe.md is made of them.
type Config struct {
	Name       string     `key:"name" check:"name" doc:"Name of the run; its folder is runs/NAME unless out says otherwise"`
	Seed       int64      `key:"seed" check:"gte=0" doc:"Seed of everything random: weights, batches, dropout, negatives"`
	Out        string     `key:"out" doc:"Run folder; empty means runs/NAME"`
	Data       Data       `key:"data" doc:"Where the interactions and items come from, and what of them is kept"`
	Images     Images     `key:"images" doc:"Pictures of the items, fetched into the run folder"`
	Captioner  Captioner  `key:"captioner" doc:"What puts the items' pictures into words: a model (BLIP-2, arXiv 2301.12597), another tool's table, or both"`
	Retriever  Retriever  `key:"retriever" doc:"The LRURec retriever (arXiv 2310.02367) and its training"`
	Candidates Candidates `key:"candidates" doc:"The lists that the retriever proposes for every user"`
	Ranker     Ranker     `key:"ranker" doc:"The language model that ranks the candidates, and its LoRA training (arXiv 2311.02089, 2106.09685)"`
	Runtime    Runtime    `key:"runtime" doc:"ONNX Runtime, which runs the exported models"`
	Serve      Serve      `key:"serve" doc:"The HTTP service (docs/serving.md)"`
	Report     Report     `key:"report" doc:"report.html"`
}

// Data is the section of the raw logs and of the preparation.
type Data struct {
	Source              string   `key:"source" check:"oneof=movielens amazon2014 amazon2018 amazon2023 parquet csv" doc:"Format of the files"`
	Path                string   `key:"path" doc:"Folder that holds the files; when it is set, nothing is downloaded"`
	URLs                []string `key:"urls" check:"dive,http_url" doc:"Official addresses of the files, fetched into downloads when path is empty; zip and tar.gz archives are unpacked there"`
	SHA256              []string `key:"sha256" check:"dive,sha256" doc:"SHA-256 of each address, in the order of urls; empty means unchecked"`
	Downloads           string   `key:"downloads" check:"required" doc:"Folder that downloads are kept in, a folder a run name"`
	Interactions        string   `key:"interactions" doc:"File of the interactions inside path; empty means the format's own name"`
	Items               string   `key:"items" doc:"File of the item metadata inside path; empty means the format's own name, or no metadata where the format has none"`
	Columns             Columns  `key:"columns" doc:"Column names, for source parquet and csv"`
	TimestampUnit       string   `key:"timestamp_unit" check:"oneof=s ms us ns" doc:"Unit of the timestamps of parquet and csv, which are numbers since 1970; Parquet's TIMESTAMP columns know their own"`
	Delimiter           string   `key:"delimiter" doc:"What separates the fields of csv files: one ASCII character, or \\t for a tab; empty means a comma"`
	NoHeader            bool     `key:"no_header" doc:"The csv files have no line of names; columns are then named by number, from 1"`
	CleanTitles         string   `key:"clean_titles" check:"omitempty,oneof=movielens" doc:"movielens: \"Matrix, The (1999)\" becomes \"The Matrix (1999)\" and alternative titles go; source movielens always does"`
	MinRating           float64  `key:"min_rating" check:"gte=-1000000,lte=1000000" doc:"Interactions rated below this are dropped"`
	MinUserInteractions int      `key:"min_user_interactions" check:"gte=3,lte=1000000" doc:"k of the k-core on the users' side; a user needs 3 for train, validation and test"`
	MinItemInteractions int      `key:"min_item_interactions" check:"gte=1,lte=1000000" doc:"k of the k-core on the items' side"`
}

// Columns maps what is needed to the names that a parquet or csv file gives it.
type Columns struct {
	User          string   `key:"user" doc:"User id, in the interactions"`
	Item          string   `key:"item" doc:"Item id, in the interactions"`
	Rating        string   `key:"rating" doc:"Rating, in the interactions; empty where there is none: every interaction then counts as 1"`
	Timestamp     string   `key:"timestamp" doc:"Time, in the interactions; empty means that the rows are in the order of time"`
	ItemID        string   `key:"item_id" doc:"Item id, in the items"`
	Title         string   `key:"title" doc:"Title, in the items; empty where there is none"`
	ImageURL      string   `key:"image_url" doc:"Address of the picture, in the items; empty where there is none"`
	ImagePath     string   `key:"image_path" doc:"File of the picture, in the items; empty where there is none"`
	Categories    string   `key:"categories" doc:"Categories, in the items: a Parquet list, or text split at separator"`
	Separator     string   `key:"separator" doc:"What separates the categories of a text; empty means |"`
	CategoryFlags []string `key:"category_flags" doc:"Columns of 0 and 1, in the items; the names of those that are 1 are the item's categories"`
}

// Images is the section of the items' pictures.
type Images struct {
	Source         string   `key:"source" check:"omitempty,oneof=url folder tmdb" doc:"url: the items' image_url; folder: the files in path; tmdb: posters of films by title and year, with the API key in the environment variable TMDB_API_KEY; empty means no pictures"`
	Path           string   `key:"path" doc:"Folder of source folder: files named by the items' image_path, or by their source id and an ending such as .jpg"`
	Parallel       int      `key:"parallel" check:"gte=1,lte=1024" doc:"Downloads at once"`
	PerHost        int      `key:"per_host" check:"gte=1,lte=1024" doc:"Downloads at once from one host"`
	TimeoutSeconds float64  `key:"timeout_seconds" check:"gt=0,lte=3600" doc:"Seconds that one try of a download may take; there are 4"`
	MaxBytes       int64    `key:"max_bytes" check:"gte=1,lte=268435456" doc:"Largest file that is taken; each download under way may hold so much memory"`
	AllowPrivate   bool     `key:"allow_private" doc:"Fetch from addresses that are not public (loopback, private networks) too, and through the proxy of the environment"`
	Placeholders   []string `key:"placeholders" check:"dive,sha256" doc:"SHA-256 of pictures that say that there is none; they are skipped"`
}

// Captioner is the section of the pictures' captions.
type Captioner struct {
	Model     string `key:"model" doc:"Captioner: the ONNX file of export captioner; empty means that pictures are not captioned"`
	Table     string `key:"table" doc:"Captions of another tool: a Parquet file with the columns caption and source_id (as in the raw data) or item_id (as in this run's items.parquet). They stand; items that are not in it are captioned by model, where there is one"`
	Prompt    string `key:"prompt" doc:"Text that every caption goes on from, such as \"Question: what is this? Answer:\"; empty means none"`
	MaxTokens int    `key:"max_tokens" check:"gte=1,lte=1000" doc:"Tokens of a caption at most"`
	Beams     int    `key:"beams" check:"gte=1,lte=256" doc:"Width of the beam search; 1 takes the likeliest token each time"`
	Batch     int    `key:"batch" check:"gte=0,lte=1024" doc:"Pictures at once; 0 means as many as take about 2 GiB beside the weights, at most 64"`
}

// Retriever is the section of the LRURec model and its training.
type Retriever struct {
	Hidden          int     `key:"hidden" check:"gte=1,lte=4096" doc:"Width of the embeddings and of the model"`
	Blocks          int     `key:"blocks" check:"gte=1,lte=64" doc:"Number of LRU blocks"`
	Dropout         float64 `key:"dropout" check:"gte=0,lte=0.95" doc:"Dropout after the embedding and inside the feed-forward networks"`
	LRUDropout      float64 `key:"lru_dropout" check:"gte=0,lte=0.95" doc:"Dropout after a recurrence (the paper's code calls it attention dropout)"`
	MaxLength       int     `key:"max_length" check:"gte=2,lte=4096" doc:"Items of a history that the model sees, the most recent ones"`
	Batch           int     `key:"batch" check:"gte=1,lte=65536" doc:"Sequences in a training step"`
	Loss            string  `key:"loss" check:"oneof=full sampled gbce" doc:"Cross-entropy over the full catalogue, over sampled negatives, or gBCE (arXiv 2308.07192)"`
	Negatives       int     `key:"negatives" check:"gte=1,lte=1000000" doc:"Negatives that a batch shares, for sampled and gbce"`
	Sampling        string  `key:"sampling" check:"oneof=log_uniform popularity uniform" doc:"Distribution of the negatives: log-uniform over the popularity rank, popularity, or uniform; sampled is corrected by it"`
	GBCECalibration float64 `key:"gbce_calibration" check:"gte=0,lte=1" doc:"t of gBCE: 0 is plain binary cross-entropy, 1 undoes the sampling wholly"`
	LearningRate    float64 `key:"learning_rate" check:"gt=0,lte=1" doc:"Peak learning rate of AdamW"`
	Schedule        string  `key:"schedule" check:"oneof=constant cosine" doc:"Learning rate after the warm-up: constant, or a cosine down to 0 at max_steps"`
	WarmupSteps     int     `key:"warmup_steps" check:"gte=0,lte=100000000" doc:"Steps in which the learning rate climbs to its peak"`
	WeightDecay     float64 `key:"weight_decay" check:"gte=0,lte=1" doc:"Weight decay of AdamW, on all but biases and norms"`
	Clip            float64 `key:"clip" check:"gte=0,lte=1000000" doc:"Largest norm of the gradient; 0 leaves it as it is"`
	Average         float64 `key:"average" check:"gte=0,lte=0.99999" doc:"Decay of the moving average of the weights, which is what is validated and kept; 0 means none. For loss full"`
	MaxSteps        int     `key:"max_steps" check:"gte=1,lte=1000000000" doc:"Training steps at most"`
	MaxMinutes      float64 `key:"max_minutes" check:"gte=0,lte=1000000" doc:"Minutes of training at most; 0 means no limit. A run that this stops is not the same twice"`
	ValidateEvery   int     `key:"validate_every" check:"gte=1,lte=1000000000" doc:"Steps between two validations"`
	Patience        int     `key:"patience" check:"gte=0,lte=1000000" doc:"Validations without a better one after which training stops; 0 means never"`
	EarlyStop       string  `key:"early_stop" check:"oneof=recall@10 ndcg@10" doc:"Validation metric that picks the weights that are kept"`
	CheckpointEvery int     `key:"checkpoint_every" check:"gte=1,lte=1000000000" doc:"Steps between two checkpoints, from which a killed run goes on"`
	Threads         int     `key:"threads" check:"gte=0,lte=256" doc:"CPU threads of training; 0 means all cores. Runs with different numbers differ in the last bits"`
}

// Candidates is the section of the candidate lists.
type Candidates struct {
	K int `key:"k" check:"gte=1,lte=1000" doc:"Candidates a user, best first, history excluded"`
}

// Ranker is the section of the language model that ranks the candidates.
type Ranker struct {
	Base            string   `key:"base" doc:"Language model: a Hugging Face folder (config.json, safetensors) or a GGUF file; empty means that there is no ranker"`
	Tokenizer       string   `key:"tokenizer" doc:"Folder with tokenizer.json, that file, or a GGUF file; empty means the one of base"`
	InitAdapter     string   `key:"init_adapter" doc:"PEFT adapter that training starts from, whose own rank, alpha and targets then count; empty means from nothing"`
	Template        string   `key:"template" check:"required" doc:"Prompt: a built-in template (docs/prompts.md) or a file"`
	Captions        string   `key:"captions" check:"oneof=none caption caption-only" doc:"What a prompt says of an item that has a caption: its title, title and caption, or the caption alone. Without a captioner there are titles only"`
	History         int      `key:"history" check:"gte=1,lte=1000" doc:"Items of the history in a prompt, the most recent ones"`
	TitleTokens     int      `key:"title_tokens" check:"gte=1,lte=1000" doc:"Tokens of a title, and of a caption, at most"`
	MaxTokens       int      `key:"max_tokens" check:"gte=64,lte=131072" doc:"Tokens of a prompt at most: the oldest items of the history go first, candidates never"`
	Rank            int      `key:"rank" check:"gte=1,lte=1024" doc:"Rank of the LoRA matrices"`
	Alpha           float64  `key:"alpha" check:"gt=0,lte=65536" doc:"LoRA's alpha: what it adds is scaled by alpha / rank"`
	Dropout         float64  `key:"dropout" check:"gte=0,lte=0.95" doc:"Dropout before the LoRA matrices"`
	Targets         []string `key:"targets" check:"min=1,unique,dive,oneof=q_proj k_proj v_proj o_proj gate_proj up_proj down_proj" doc:"Linear layers that get LoRA matrices"`
	Precision       string   `key:"precision" check:"oneof=fp32 bf16 int8 nf4" doc:"How training holds the frozen weights; nf4 is QLoRA's (arXiv 2305.14314)"`
	Loss            string   `key:"loss" check:"oneof=verbalizer causal" doc:"Cross-entropy over the candidates' letters, or over the vocabulary of the letter and of the end of text"`
	Negatives       string   `key:"negatives" check:"oneof=random retriever mixed retrieved" doc:"Where a training prompt's wrong candidates come from: the catalogue, the retriever's best at that point, or half of each; retrieved takes the retriever's list as it is, as at inference, and leaves out prompts without a right answer in it"`
	Positives       int      `key:"positives" check:"gte=1,lte=51" doc:"Right answers of a training prompt, which share the target: the item that came next and those that followed it. The papers have 1; loss causal takes 1 only"`
	RehearsalSteps  int      `key:"rehearsal_steps" check:"gte=0,lte=1000000000" doc:"Training steps over which the prompts whose right answers stand in the history too go from all to none: finding them again teaches a small model what the letters mean. 0 where the model or init_adapter knows"`
	LearningRate    float64  `key:"learning_rate" check:"gt=0,lte=1" doc:"Peak learning rate of AdamW"`
	Schedule        string   `key:"schedule" check:"oneof=constant cosine" doc:"Learning rate after the warm-up: constant, or a cosine down to 0 at max_steps"`
	WarmupSteps     int      `key:"warmup_steps" check:"gte=0,lte=100000000" doc:"Steps in which the learning rate climbs to its peak"`
	WeightDecay     float64  `key:"weight_decay" check:"gte=0,lte=1" doc:"Weight decay of AdamW"`
	Clip            float64  `key:"clip" check:"gte=0,lte=1000000" doc:"Largest norm of the gradient; 0 leaves it as it is"`
	Batch           int      `key:"batch" check:"gte=1,lte=65536" doc:"Prompts in a training step"`
	BatchTokens     int      `key:"batch_tokens" check:"gte=64,lte=1048576" doc:"Tokens computed at once: a step is cut into parts of so many, which bounds memory"`
	ActivationBytes int64    `key:"activation_bytes" check:"gte=0" doc:"Memory for what the backward pass needs; layers that do not fit are computed twice, to the same bits. 0 means no bound (docs/memory.md)"`
	MaxSteps        int      `key:"max_steps" check:"gte=0,lte=1000000000" doc:"Training steps at most; 0 keeps init_adapter, or the bare model, as it is"`
	MaxMinutes      float64  `key:"max_minutes" check:"gte=0,lte=1000000" doc:"Minutes of training at most; 0 means no limit. A run that this stops is not the same twice"`
	ValidateEvery   int      `key:"validate_every" check:"gte=1,lte=1000000000" doc:"Steps between two validations"`
	ValidateUsers   int      `key:"validate_users" check:"gte=0,lte=1000000000" doc:"Users of a validation during training, drawn by seed among those with the answer in their candidates; 0 means all"`
	Patience        int      `key:"patience" check:"gte=0,lte=1000000" doc:"Validations without a better NDCG@10 after which training stops; 0 means never"`
	CheckpointEvery int      `key:"checkpoint_every" check:"gte=1,lte=1000000000" doc:"Steps between two checkpoints, from which a killed run goes on"`
	Threads         int      `key:"threads" check:"gte=0,lte=256" doc:"CPU threads of training; 0 means all cores. Runs with different numbers differ in the last bits"`
	Device          string   `key:"device" check:"oneof=cpu cuda" doc:"Where training computes: cpu, or cuda, the GPU that runtime.device numbers (make build CUDA=1), in bfloat16 unless precision is fp32; activation_bytes counts for nothing there"`
	Export          string   `key:"export" check:"oneof=fp32 fp16 int8 int4" doc:"Precision of ranker.onnx"`
	Order           string   `key:"order" check:"oneof=retriever shuffled" doc:"Order of the candidates in a prompt that is ranked: the retriever's, or shuffled by seed and user"`
	Orders          int      `key:"orders" check:"gte=1,lte=100" doc:"Prompts a user, each with another order of the candidates, whose letters' log probabilities are averaged"`
}

// Runtime is the section of ONNX Runtime. It does not change results beyond the last bits, so that a change of it reruns
// nothing.
type Runtime struct {
	Providers     []string `key:"providers" check:"min=1,unique,dive,oneof=tensorrt cuda cpu" doc:"Execution providers in the order they are tried"`
	Strict        bool     `key:"strict" doc:"Fail when one of the providers cannot be used, instead of going on without it"`
	Threads       int      `key:"threads" check:"gte=0,lte=1024" doc:"CPU threads of inference; 0 means all cores"`
	Device        int      `key:"device" check:"gte=0,lte=1023" doc:"GPU of providers cuda and tensorrt, as nvidia-smi numbers them"`
	MemoryBytes   int64    `key:"memory_bytes" check:"gte=0" doc:"GPU memory that cuda may take for a model, its weights included, and the workspace of tensorrt; 0 means no limit"`
	TensorRTCache string   `key:"tensorrt_cache" doc:"Folder in which TensorRT's engines and timings are kept, which take minutes to make; empty means one in the user's cache folder"`
	TensorRTFP16  bool     `key:"tensorrt_fp16" doc:"Let TensorRT compute in float16 what the model file has in float32. Results change with it, and stages do not run again for it: --force"`
	TensorRTINT8  bool     `key:"tensorrt_int8" doc:"Let TensorRT compute in 8 bits, for model files that say how. The same holds"`
	Library       string   `key:"library" doc:"ONNX Runtime's shared library; empty means the one of make deps or beside the program"`
}

// Serve is the section of the HTTP service. No stage depends on it.
type Serve struct {
	Addr           string   `key:"addr" check:"required" doc:"Address to listen on, HOST:PORT; only this machine reaches 127.0.0.1"`
	TLSCert        string   `key:"tls_cert" doc:"PEM file of the certificate and those that signed it; empty means plain HTTP"`
	TLSKey         string   `key:"tls_key" doc:"PEM file of the certificate's key"`
	Keys           string   `key:"keys" doc:"File of API keys, a line name:key each; empty means those of the environment variable MLLM4REC_API_KEYS, or none"`
	RatePerSecond  float64  `key:"rate_per_second" check:"gte=0,lte=1000000" doc:"Requests a second that an API key may send; 0 means no limit"`
	Origins        []string `key:"origins" check:"dive,required" doc:"Origins whose pages may call (scheme://host, or * for all); none means the service's own page alone"`
	Admin          bool     `key:"admin" doc:"Serve POST /-/reload"`
	Queue          float64  `key:"queue" check:"gte=0,lte=100" doc:"Requests that may wait for each that runs; with more, those that are accepted under load take longer"`
	TimeoutSeconds float64  `key:"timeout_seconds" check:"gt=0,lte=3600" doc:"Seconds that a request may take at most; X-Request-Timeout may ask for less"`
	ReadSeconds    float64  `key:"read_seconds" check:"gt=0,lte=3600" doc:"Seconds in which a request's header and body must have come"`
	DrainSeconds   float64  `key:"drain_seconds" check:"gte=0,lte=3600" doc:"Seconds that requests have to end when the service stops"`
	CacheBytes     int64    `key:"cache_bytes" check:"gte=0,lte=1099511627776" doc:"Memory for the keys and values that the language model keeps of histories, for those who come again; 0 keeps none, and on a GPU none are kept"`
	BodyBytes      int64    `key:"body_bytes" check:"gte=1024,lte=268435456" doc:"Largest body of a request"`
	PictureBytes   int64    `key:"picture_bytes" check:"gte=1024,lte=268435456" doc:"Largest picture that is captioned"`
	Log            string   `key:"log" check:"oneof=text json" doc:"Form of the log on stderr, a line a request"`
}

// Report is the section of report.html.
type Report struct {
	Title     string      `key:"title" doc:"Title of the report; empty means the run's name"`
	Beside    []string    `key:"beside" doc:"Run folders whose metrics stand beside this run's: the same run without captions, for one"`
	Published []Published `key:"published" check:"dive" doc:"Figures from the literature, shown beside ours"`
}

// Published is one figure from the literature: test split, full ranking.
type Published struct {
	Model  string  `key:"model" check:"required" doc:"Model"`
	Metric string  `key:"metric" check:"oneof=recall mrr ndcg" doc:"Metric"`
	K      int     `key:"k" check:"gte=1,lte=1000" doc:"Cut-off"`
	Value  float64 `key:"value" check:"gte=0,lte=1" doc:"Value, from 0 to 1"`
	Source string  `key:"source" doc:"Where it was published"`
}
