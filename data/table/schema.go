package table

import (
	"fmt"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// nulls are those that the file may hold in a leaf column and the row struct cannot, by their definition levels.
type nulls struct {
	column string
	levels []int
}

func (n nulls) what(level int) string {
	if level == 0 {
		return n.column + " is null"
	}
	return n.column + " has null in it"
}

// matchSchemas checks that the file has every column of the wanted schema, in the wanted type. It returns the nulls to be
// refused, by leaf column.
func matchSchemas(file, want *parquet.Schema) (refused map[int]nulls, err error) {
	refused = map[int]nulls{}
	for _, field := range want.Fields() {
		name := field.Name()
		found := fieldOf(file, name)
		if found == nil {
			if field.Optional() {
				continue
			}
			return nil, fmt.Errorf("no column %s (wanted %s); the file has: %s", name, typeName(field), strings.Join(columnNames(file), ", "))
		}
		if f, w := typeName(found), typeName(field); f != w {
			return nil, fmt.Errorf("column %s is %s, wanted %s", name, f, w)
		}
		leaf, ok := file.Lookup(name)
		if !found.Leaf() {
			leaf, ok = file.Lookup(name, "list", "element")
		}
		if !ok {
			return nil, fmt.Errorf("column %s is %s, which is not read", name, typeName(found))
		}
		refused[leaf.ColumnIndex] = nulls{name, nullLevels(field, found, leaf)}
	}
	return refused, nil
}

// nullLevels are the definition levels of a null in the place of a value or a list, and of one among a list's elements.
func nullLevels(want, found parquet.Field, leaf parquet.LeafColumn) (levels []int) {
	if found.Optional() && !want.Optional() {
		levels = append(levels, 0)
	}
	if !found.Leaf() && leaf.Node.Optional() {
		levels = append(levels, leaf.MaxDefinitionLevel-1)
	}
	return levels
}

func fieldOf(n parquet.Node, name string) parquet.Field {
	for _, f := range n.Fields() {
		if f.Name() == name {
			return f
		}
	}
	return nil
}

func columnNames(n parquet.Node) (names []string) {
	for _, f := range n.Fields() {
		names = append(names, f.Name())
	}
	return names
}

// typeName is a column's type in words, without whether it may be null: int32, string, timestamp(ms), list<int32>, ….
func typeName(n parquet.Node) string {
	if n.Leaf() {
		return leafName(n)
	}
	if l := n.Type().LogicalType(); l != nil && l.Value != nil && strings.EqualFold(l.String(), "LIST") {
		if list := fieldOf(n, "list"); list != nil && list.Repeated() && !list.Leaf() && len(list.Fields()) == 1 {
			element := list.Fields()[0]
			if element.Name() != "element" {
				return fmt.Sprintf("list<%s %s>", element.Name(), typeName(element))
			}
			return "list<" + typeName(element) + ">"
		}
	}
	var parts []string
	for _, f := range n.Fields() {
		parts = append(parts, f.Name()+" "+typeName(f))
	}
	return "struct<" + strings.Join(parts, ", ") + ">"
}

var kindNames = map[parquet.Kind]string{
	parquet.Boolean: "bool", parquet.Int32: "int32", parquet.Int64: "int64", parquet.Int96: "int96", parquet.Float: "float32",
	parquet.Double: "float64", parquet.ByteArray: "bytes", parquet.FixedLenByteArray: "bytes",
}

func leafName(n parquet.Node) string {
	name := kindNames[n.Type().Kind()]
	if l := n.Type().LogicalType(); l != nil && l.Value != nil {
		switch logical := l.String(); {
		case strings.HasPrefix(logical, "STRING"):
			name = "string"
		case !strings.HasPrefix(logical, "INT"):
			name = strings.ToLower(logical)
		}
	}
	if n.Repeated() {
		return "repeated " + name
	}
	return name
}
