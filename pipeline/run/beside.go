package run

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"mllm4rec/configs"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/evaluate"
	"mllm4rec/pipeline/rank"
	"mllm4rec/pipeline/report"
)

// recipeFile is what a run folder keeps of the recipe.
const recipeFile = "recipe.yaml"

// checkBeside makes sure that the runs that the report compares with have been evaluated.
func (p *pipeline) checkBeside() error {
	for _, dir := range p.Config.Report.Beside {
		for _, name := range []string{recipeFile, "sequences.parquet", evaluate.ParquetFile} {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				return fail.Usagef("report.beside: %s holds no %s; name the folder of a run that has come to its end", dir, name)
			}
		}
	}
	return nil
}

// besideFiles are what the report reads of other runs. Whether they have a ranker is seen then.
func (p *pipeline) besideFiles() (files []string) {
	for _, dir := range p.Config.Report.Beside {
		for _, name := range []string{recipeFile, "sequences.parquet", evaluate.ParquetFile, rank.RankingsFile, rank.FusedFile} {
			path := filepath.Join(dir, name)
			if _, err := os.Stat(path); err == nil {
				files = append(files, path)
			}
		}
	}
	return files
}

func (p *pipeline) beside() (runs []report.Beside) {
	for _, dir := range p.Config.Report.Beside {
		other := report.Beside{Dir: dir}
		if loaded, err := configs.Load(configs.Request{Recipe: filepath.Join(dir, recipeFile)}); err != nil {
			other.Differs = []string{"it cannot be read: " + err.Error()}
		} else {
			other.Differs = differences(p.Config, loaded)
		}
		runs = append(runs, other)
	}
	return runs
}

// differences are the keys in which two recipes differ, those aside that change no figure.
func differences(here, there *configs.Loaded) (lines []string) {
	others := there.Settings()
	for i, s := range here.Settings() {
		section, _, _ := strings.Cut(s.Key, ".")
		if section == "name" || section == "out" || section == "report" || section == "runtime" || section == "serve" {
			continue
		}
		if a, b := fmt.Sprintf("%v", s.Value), fmt.Sprintf("%v", others[i].Value); a != b {
			lines = append(lines, fmt.Sprintf("%s: %s here, %s there", s.Key, orEmpty(a), orEmpty(b)))
		}
	}
	return lines
}

func orEmpty(value string) string {
	if value == "" {
		return "empty"
	}
	return value
}
