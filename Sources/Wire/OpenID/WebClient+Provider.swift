// How a provider is asked: what the web client says, in this module's words.

import JSON
import Sealing
import WebClient

extension WebClient {
    /// A document at an address that was checked before.
    func document(at address: String, _ name: String, limits: OpenIDLimits) async throws(OpenIDError) -> [UInt8] {
        let response = try await ask(WebRequest(.get, ""), at: address, name, limits: limits)
        guard response.status == 200 else {
            throw OpenIDError(.unreachable, "the provider's \(name) is not there: the answer is \(response.status)")
        }
        return response.body
    }

    func ask(
        _ request: WebRequest,
        at address: String,
        _ name: String,
        token: Secret<String>? = nil,
        limits: OpenIDLimits
    ) async throws(OpenIDError) -> WebResponse {
        let response: WebResponse
        do throws(WebError) {
            var endpoint = try WebEndpoint.parse(address, isWhole: true)
            if let token { endpoint = try endpoint.authorized(token: token) }
            response = try await send(request, to: endpoint)
        } catch {
            switch error.code {
            case .redirected, .tooLarge, .invalidURL:
                throw OpenIDError(.misconfigured, "the provider's \(name): \(error.message)")
            case .unreachable, .tls, .timedOut, .broken, .cancelled:
                throw OpenIDError(.unreachable, "the provider's \(name): \(error.message)")
            }
        }
        guard response.body.count <= limits.documentBytes else {
            throw OpenIDError(.misconfigured, "the provider's \(name) is larger than \(limits.documentBytes) bytes")
        }
        return response
    }
}
