package torch

import (
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// Codes of libtorch: float32, on the CPU.
const (
	kindFloat = 6
	deviceCPU = -1
)

// Matrix is a float32 matrix [Rows, Cols], row after row, in libtorch's memory. Data is that memory. SetRows changes how
// many of the rows that were allocated are in use.
type Matrix struct {
	Rows, Cols int
	Data       []float32

	engine *Engine
	all    []float32
	base   libtch.Ctensor // [capacity, Cols]
	view   libtch.Ctensor // [Rows, Cols] of base
	turned libtch.Ctensor // the view transposed
}

// NewMatrix allocates a matrix of zeros.
func (e *Engine) NewMatrix(rows, cols int) *Matrix { return e.allocate(rows, cols, libtch.AtgZeros) }

// NewScratch allocates a matrix of anything. Rows that are never used take no memory but addresses.
func (e *Engine) NewScratch(rows, cols int) *Matrix { return e.allocate(rows, cols, libtch.AtgEmpty) }

func (e *Engine) allocate(rows, cols int, call func(*libtch.Ctensor, []int64, int, int32, int32)) *Matrix {
	m := &Matrix{Cols: cols, engine: e}
	if e.err != nil {
		return m
	}
	var base libtch.Ctensor // libtorch writes here: cgo allows no pointer into m
	call(&base, []int64{int64(rows), int64(cols)}, 2, kindFloat, deviceCPU)
	if e.check("allocate"); e.err != nil {
		return m
	}
	m.base = base
	e.live++
	m.adopt(rows)
	return m
}

// Slice is a matrix [rows, cols] over m's memory from element offset on. It must be freed before m.
func (m *Matrix) Slice(offset, rows, cols int) *Matrix {
	e := m.engine
	s := &Matrix{Cols: cols, engine: e}
	if e.err != nil {
		return s
	}
	if offset < 0 || offset+rows*cols > len(m.all) {
		e.fail("slice [%d, %d] at %d of %d elements", rows, cols, offset, len(m.all))
		return s
	}
	var base libtch.Ctensor
	libtch.AtgAsStrided(&base, m.base, []int64{int64(rows), int64(cols)}, 2, []int64{int64(cols), 1}, 2, int64(offset), 0)
	if e.check("slice"); e.err != nil {
		return s
	}
	s.base = base
	e.live++
	s.adopt(rows)
	return s
}

// adopt finds the memory of a fresh base.
func (m *Matrix) adopt(rows int) {
	if rows*m.Cols > 0 {
		m.all = unsafe.Slice((*float32)(libtch.AtDataPtr(m.base)), rows*m.Cols)
	}
	m.engine.check("address")
	m.SetRows(rows)
}

// SetRows makes m the first rows rows of what was allocated.
func (m *Matrix) SetRows(rows int) {
	e := m.engine
	if e.err != nil || m.view != nil && rows == m.Rows {
		return
	}
	if rows < 0 || rows*m.Cols > len(m.all) {
		e.fail("%d rows of %d elements, but %d elements were allocated", rows, m.Cols, len(m.all))
		return
	}
	m.dropViews()
	m.Rows, m.Data = rows, m.all[:rows*m.Cols]
	var view, turned libtch.Ctensor
	libtch.AtgNarrow(&view, m.base, 0, 0, int64(rows))
	if e.check("narrow"); e.err != nil {
		return
	}
	libtch.AtgT(&turned, view)
	e.check("transpose")
	m.view, m.turned = view, turned
}

// Zero clears the rows in use.
func (m *Matrix) Zero() { clear(m.Data) }

// Free gives the memory back; a second call does nothing.
func (m *Matrix) Free() {
	if m == nil || m.base == nil {
		return
	}
	m.dropViews()
	libtch.AtFree(m.base)
	m.base, m.all, m.Data, m.Rows = nil, nil, nil, 0
	m.engine.live--
}

func (m *Matrix) dropViews() {
	for _, handle := range []*libtch.Ctensor{&m.view, &m.turned} {
		if *handle != nil {
			libtch.AtFree(*handle)
			*handle = nil
		}
	}
}
