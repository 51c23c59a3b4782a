package serve

// SetMostConnections is for before Run.
func (s *Server) SetMostConnections(n int) { s.mostConnections = n }
