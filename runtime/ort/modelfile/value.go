package modelfile

import "strconv"

// value: a ValueInfoProto, 1 name, 2 type.
func (w *walker) value(f field, to *[]Value) error {
	v := Value{}
	err := w.each(f, func(f field) (err error) {
		switch f.number {
		case 1:
			v.Name, err = w.in.text(f)
		case 2:
			err = w.valueType(f, &v)
		}
		return err
	})
	*to = append(*to, v)
	return err
}

// valueType: a TypeProto, 1 tensor_type; sequences, maps and optionals stay without a type here.
func (w *walker) valueType(f field, v *Value) error {
	return w.each(f, func(f field) error {
		if f.number != 1 {
			return nil
		}
		return w.tensorType(f, v)
	})
}

// tensorType: 1 elem_type, 2 shape.
func (w *walker) tensorType(f field, v *Value) error {
	return w.each(f, func(f field) error {
		switch f.number {
		case 1:
			v.Type = dataTypes[int64(f.value)].name
		case 2:
			return w.shape(f, v)
		}
		return nil
	})
}

// shape: a TensorShapeProto, 1 dim; a dimension: 1 dim_value, 2 dim_param.
func (w *walker) shape(f field, v *Value) error {
	return w.each(f, func(f field) error {
		if f.number != 1 {
			return nil
		}
		dim := "?"
		err := w.each(f, func(f field) (err error) {
			switch f.number {
			case 1:
				dim = strconv.FormatInt(int64(f.value), 10)
			case 2:
				dim, err = w.in.text(f)
			}
			return err
		})
		v.Shape = append(v.Shape, dim)
		return err
	})
}
