// Puts providers' APIs in front of the pipeline: their clients work here with another address and one of our keys.

import Gate
import HTTPTypes
import Hummingbird
import Mapping
import Model
import NIOCore
import Outbox
import Providers

struct ProviderDoor: Sendable {
    /// A provider is one line.
    static let apis: [any ProviderAPI] =
        [SESAPI(), SendGridAPI(), MailgunAPI(), ResendAPI()] + PostmarkAPI.all

    let admission: Admission
    /// For each call.
    let services: @Sendable () -> ProviderServices

    func answer(
        _ request: Request,
        _ context: APIContext,
        _ api: any ProviderAPI,
        _ operation: ProviderOperation
    ) async throws -> Response {
        let services = services()
        var shown = ProviderRequest(request, context)
        let key = try api.credentials(shown)
        let caller = try await admission.credentials.caller(
            key: key, from: context.remoteAddress, at: api.settingsBase + operation.path)
        try await admission.admit(caller, operation.action, context)
        let call = Call(
            request: request, context: context, who: caller, clock: services.clock, ids: services.pipeline.ids)
        let limit = services.pipeline.configuration.limits.submissionBytes
        shown.body = Array(try await call.body(upTo: limit).readableBytesView)
        try api.verify(shown, key: key)
        var response = Response(try await operation.handle(shown, caller, services))
        if let rate = services.rateStatus { response.headers.show(rate) }
        return response
    }
}

extension ProviderRequest {
    fileprivate init(_ request: Request, _ context: APIContext) {
        let target = request.head.path ?? "/"
        let question = target.firstIndex(of: "?") ?? target.endIndex
        var headers = request.headers.map { (name: $0.name.canonicalName, value: $0.value) }
        if let host = request.head.authority { headers.append(("host", host)) }
        self.init(
            method: request.method.rawValue, path: String(target[..<question]),
            query: String(target[question...].dropFirst()), headers: headers,
            parameters: Dictionary(
                context.parameters.map { (String($0.key), String($0.value)) }, uniquingKeysWith: { first, _ in first }),
            requestID: context.requestID, remoteAddress: context.remoteAddress)
    }
}

extension Response {
    /// A header that is no header is the provider code's mistake, and is left out.
    init(_ answer: ProviderAnswer) {
        var headers: HTTPFields = [.cacheControl: "no-store"]
        for (name, value) in answer.headers {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        self.init(
            status: HTTPResponse.Status(code: answer.status), headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body)))
    }
}
