package serve

import (
	"context"
	"log/slog"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Tracing makes the tracer that OpenTelemetry's variables ask for (OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_SERVICE_NAME and the like): spans go there by OTLP over HTTP. Without an endpoint
// there are none. Stop sends what is left. What cannot be sent is told in the log.
func Tracing(ctx context.Context, lookup func(string) (string, bool), log *slog.Logger) (t trace.TracerProvider, stop func(context.Context) error, err error) {
	endpoint, _ := lookup("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if endpoint == "" {
		endpoint, _ = lookup("OTEL_EXPORTER_OTLP_ENDPOINT")
	}
	if endpoint == "" {
		return noop.NewTracerProvider(), func(context.Context) error { return nil }, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces", "error", err) })) // else it writes lines of its own
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, nil, err
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "mllm4rec")), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, nil, err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return provider, provider.Shutdown, nil
}

// span begins a part of a request.
func (s *Server) span(ctx context.Context, name string) (context.Context, trace.Span) {
	return s.tracer.Start(ctx, name)
}

// traced begins the span of a request, as part of the client's trace where it has one.
func (s *Server) traced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := s.tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		next.ServeHTTP(w, r.WithContext(ctx))
		if !span.IsRecording() {
			return
		}
		n := noteOf(ctx)
		if n.route != "" {
			span.SetName(r.Method + " " + n.route)
		}
		span.SetAttributes(
			attribute.String("http.request.method", r.Method), attribute.String("http.route", n.route),
			attribute.Int("http.response.status_code", n.status), attribute.String("mllm4rec.request_id", n.id),
		)
		if n.status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, n.code)
		}
	})
}
