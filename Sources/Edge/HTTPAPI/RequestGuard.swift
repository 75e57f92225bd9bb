// The outermost middleware: request ids, errors in the product's own form, and a line in metrics and log for each request.

import HTTPTypes
import Hummingbird
import Logging
import Metrics
import Model
import Providers
import SQL
import Store

struct RequestGuard: RouterMiddleware {
    typealias Context = APIContext

    let documentation: String
    let ids: IdentifierGenerator
    /// Below their paths, errors take the provider's form.
    let providers: [any ProviderAPI]
    let addresses: ClientAddress

    func handle(
        _ request: Request,
        context: APIContext,
        next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.requestID = requestID(request)
        context.remoteAddress = addresses.address(
            peer: context.remoteAddress, forwarded: request.headers[values: .forwardedFor])
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            let problem = Self.problem(error)
            if problem.code == .internalError {
                context.logger.error(
                    "a request failed", metadata: ["error": "\(error)", "request_id": "\(context.requestID)"])
            }
            response = refusal(problem, request, context)
            if let allow = (error as? HTTPError)?.headers[.allow] { response.headers[.allow] = allow }
        }
        response.headers[.requestID] = context.requestID
        // A browser that shows an answer must neither guess its type nor run anything in it.
        response.headers[.xContentTypeOptions] = "nosniff"
        Counter(
            label: "postern_http_requests_total",
            dimensions: [
                ("method", Self.method(request.method)), ("route", context.endpointPath ?? "none"),
                ("status", String(response.status.code)),
            ]
        ).increment()
        return response
    }

    private func refusal(_ problem: PosternError, _ request: Request, _ context: APIContext) -> Response {
        let path = request.uri.path
        guard let provider = providers.first(where: { path.isPath(at: $0.base) }) else {
            return .problem(
                problem, requestID: context.requestID, docs: "\(documentation)#\(problem.code.rawValue)")
        }
        var response = Response(provider.refusal(problem, requestID: context.requestID, path: path))
        if let seconds = problem.retryAfter { response.headers[.retryAfter] = String(seconds) }
        if let rate = problem.rate { response.headers.show(rate) }
        return response
    }

    /// The caller's own id where it is a short printable word, else a new one.
    private func requestID(_ request: Request) -> String {
        if let given = request.headers[.requestID], (1...128).contains(given.utf8.count),
            given.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        {
            return given
        }
        let id: Identifier<RequestKind> = ids.next()
        return id.text
    }

    /// Methods that a stranger makes up must not become labels.
    private static func method(_ method: HTTPRequest.Method) -> String {
        [.get, .head, .post, .put, .patch, .delete].contains(method) ? method.rawValue : "other"
    }

    private static func problem(_ error: any Error) -> PosternError {
        guard let error = error as? HTTPError else { return PosternError(describing: error) }
        switch error.status {
        case .notFound: return PosternError(.notFound, "there is nothing at this path")
        case .methodNotAllowed: return PosternError(.methodNotAllowed, "the path does not take this method")
        case .contentTooLarge: return PosternError(.messageTooLarge, "the body is too large")
        case let status where status.kind == .clientError:
            return PosternError(.validationFailed, error.body ?? "the request cannot be understood")
        default: return PosternError(.internalError, "an unexpected error happened")
        }
    }
}

extension String {
    /// Whether this is the path, or one below it.
    fileprivate func isPath(at base: String) -> Bool {
        guard utf8.starts(with: base.utf8) else { return false }
        let rest = utf8.dropFirst(base.utf8.count)
        return rest.isEmpty || rest.first == UInt8(ascii: "/")
    }
}

extension HTTPField.Name {
    static let forwardedFor = HTTPField.Name("X-Forwarded-For")!
    static let requestID = HTTPField.Name("X-Request-Id")!
    static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
    static let idempotencyReplayed = HTTPField.Name("Idempotency-Replayed")!
}
