package recommend

import (
	"slices"
	"sync"

	"mllm4rec/data/picture"
	"mllm4rec/runtime/ort/modelfile"
	"mllm4rec/runtime/rank"
	"mllm4rec/runtime/retrieve"
	"mllm4rec/runtime/serve"
)

// Info says what is served and how far it goes. The bounds of HTTP (Limits.BodyBytes) are the service's to fill in.
func (b *Backend) Info() serve.Info {
	info := serve.Info{
		Name: b.options.Name, Items: b.items.size(), Users: b.people.size(), Categories: slices.Sorted(slices.Values(b.items.categories)), Fusion: b.fusion != nil,
		Models: []serve.ModelInfo{{Kind: "retriever", Fingerprint: b.models.Retriever, Provider: b.retriever.Provider(), Slots: places(b.retriever)}},
		Limits: serve.Limits{K: b.maxK(), History: maxHistory},
	}
	if b.ranker != nil {
		r := b.ranker.Ranker()
		info.Models = append(info.Models, describe("ranker", r.Info(), r.Provider(), r.Workers()))
		info.Limits.Candidates, info.Limits.PromptTokens = b.letters(), b.ranker.Limits.PromptTokens
	}
	if b.captioner != nil {
		info.Models = append(info.Models, describe("captioner", b.captioner.Info(), b.captioner.Provider(), cap(b.captions)))
		info.Limits.PictureBytes = picture.MaxBytes
	}
	return info
}

// places is how many histories the batcher has at once, so that those of like length come together. Each that is in waits for
// the others: on ml-100k and two cores 8, 4 and 2 a core answer about 2,900, 2,400 and 1,800 requests a second, and at twice
// that the median of those accepted is 17, 10 and 4 ms.
func places(r *retrieve.Retriever) int {
	const ofCore, ofDevice = 4, 64
	if r.Provider() == "cpu" {
		return ofCore * r.Workers()
	}
	return ofDevice
}

func describe(kind string, m *modelfile.Info, provider string, slots int) serve.ModelInfo {
	return serve.ModelInfo{
		Kind: kind, Fingerprint: m.Fingerprint(), Provider: provider, Slots: slots,
		Precision: m.Metadata["mllm4rec.precision"], Base: m.Metadata["mllm4rec.base"],
	}
}

// Cache tells what is kept of the language model's work for users who return.
func (b *Backend) Cache() rank.Kept {
	if b.ranker == nil {
		return rank.Kept{}
	}
	return b.ranker.Ranker().Kept()
}

// cached is what the observer was told of the cache.
type cached struct {
	mutex sync.Mutex
	told  rank.Kept
}

// tellCache tells the observer what the cache was good for since the last time.
func (b *Backend) tellCache() {
	b.cached.mutex.Lock()
	defer b.cached.mutex.Unlock()
	now, before := b.Cache(), b.cached.told
	b.cached.told = now
	b.options.Observe.Cache("history", int(now.Hits-before.Hits), int(now.Misses-before.Misses))
}

func (b *Backend) maxK() int { return max(maxK, b.options.K) }

// letters is how many candidates a prompt holds.
func (b *Backend) letters() int { return len(b.ranker.Builder().Letters()) }
