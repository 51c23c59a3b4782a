package table

import (
	"fmt"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// matchSchemas checks that the file has every column of the wanted schema, in the wanted type. It returns the leaf
// columns in which the file may hold nulls and the row struct cannot.
func matchSchemas(file, want *parquet.Schema) (nullable map[int]string, err error) {
	nullable = map[int]string{}
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
		if !found.Leaf() || field.Optional() || !found.Optional() {
			continue
		}
		if leaf, ok := file.Lookup(name); ok {
			nullable[leaf.ColumnIndex] = name
		}
	}
	return nullable, nil
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
