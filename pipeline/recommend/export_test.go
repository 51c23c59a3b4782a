package recommend

// IndexTitles makes a search over titles, the first of which are the most popular.
func IndexTitles(all []string) func(query string, limit int) []int32 {
	c := &catalogue{titles: append([]string{""}, all...), counts: make([]int64, len(all)+1)}
	c.rankByPopularity()
	t := indexTitles(c)
	return func(query string, limit int) []int32 { return t.search(wordsOf(query), limit) }
}
