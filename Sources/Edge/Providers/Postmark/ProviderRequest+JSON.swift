// The JSON document of a provider's request, and answers in JSON.

import JSON
import Model

extension ProviderRequest {
    /// - Parameter elements: of one array; more than other doors take, where a provider writes a file's bytes as numbers.
    /// - Throws: `malformed_json`.
    func document(elements: Int = JSONLimits().elements) throws(PosternError) -> JSONValue {
        var limits = JSONLimits()
        limits.elements = elements
        do throws(JSONError) {
            return try JSONParser.parse(body, limits: limits)
        } catch {
            throw PosternError(.malformedJSON, error.description)
        }
    }
}

extension ProviderAnswer {
    static func json(_ status: Int = 200, _ write: (inout JSONWriter) -> Void) -> ProviderAnswer {
        var writer = JSONWriter()
        write(&writer)
        return ProviderAnswer(
            status: status, headers: [("Content-Type", "application/json; charset=utf-8")], body: writer.bytes)
    }
}

extension PosternError {
    /// All that is wrong and what to do, as one text: for forms of error that have room for one.
    var sentence: String {
        let shown = problems.prefix(5).map { "\($0.pointer.isEmpty ? "the message" : $0.pointer): \($0.message)" }
        let more = problems.count > shown.count ? ["and \(problems.count - shown.count) more"] : []
        let what = problems.count > 1 ? (shown + more).joined(separator: "; ") : detail
        return "\(what). \(fix)"
    }
}
