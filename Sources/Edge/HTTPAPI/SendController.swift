// Handing mail in: `/v1/send`, `/v1/map`, `/v1/messages`.

import Dialects
import Gate
import HTTPTypes
import Hummingbird
import JSON
import MIME
import Mapping
import Model
import NIOCore
import Outbox
import Sealing

struct SendController: Sendable {
    let pipeline: SendPipeline

    var endpoints: [Endpoint] {
        var endpoints = [
            endpoint("/v1/send", .canonical), endpoint("/v1/messages", .simple), mapping("/v1/map", .canonical),
        ]
        for dialect in Dialect.allCases {
            endpoints.append(endpoint("/v1/send/\(dialect.rawValue)", dialect))
            endpoints.append(mapping("/v1/map/\(dialect.rawValue)", dialect))
        }
        return endpoints
    }

    private func endpoint(_ path: String, _ dialect: Dialect) -> Endpoint {
        Endpoint(.post, path, .messageSend, credentials: .keyOrLogin) { call in try await send(call, dialect) }
    }

    private func mapping(_ path: String, _ dialect: Dialect) -> Endpoint {
        Endpoint(.post, path, .messageMap, credentials: .keyOrLogin) { call in try await map(call, dialect) }
    }

    private func send(_ call: Call, _ dialect: Dialect) async throws -> Response {
        let key = try Self.idempotencyKey(call.request)
        let (submission, digest) = try await submission(call, dialect, isDigestNeeded: key != nil)
        let receipt = try await pipeline.submit(
            submission, by: call.caller, through: .http,
            idempotency: key.map { IdempotencyKey(key: $0, digest: digest) })
        var response = Response.json(receipt.json, status: .accepted)
        if receipt.isReplay { response.headers[.idempotencyReplayed] = "true" }
        if let rate = receipt.rate { response.headers.show(rate) }
        return response
    }

    private func map(_ call: Call, _ dialect: Dialect) async throws -> Response {
        let (submission, _) = try await submission(call, dialect, isDigestNeeded: false)
        let messages = try await pipeline.map(submission, by: call.caller)
        let envelopes = messages.flatMap(\.envelopes)
        return .json { writer in
            writer.object { writer in
                writer.name("envelopes")
                writer.array { writer in
                    for envelope in envelopes { envelope.write(to: &writer, showsRaw: envelopes.count == 1) }
                }
                // For each envelope, where each of its fields came from.
                writer.name("origins")
                writer.array { writer in
                    for origins in messages.flatMap(\.origins) { origins.write(to: &writer) }
                }
                writer.member("send_at", messages[0].sendAt)
                writer.name("metadata")
                writer.object { writer in
                    for (name, value) in messages[0].metadata.sorted(by: { $0.key < $1.key }) {
                        writer.member(name, value)
                    }
                }
            }
        }
    }

    private func submission(
        _ call: Call,
        _ dialect: Dialect,
        isDigestNeeded: Bool
    ) async throws -> (Submission, digest: [UInt8]) {
        let limits = pipeline.configuration.limits
        if dialect == .mime {
            let raw = try await raw(call, upTo: limits.messageBytes)
            return (.mime(raw), isDigestNeeded ? raw.digest : [])
        }
        var query = Query(call.request)
        try query.finish()
        let submission: Submission
        let bytes: ByteBuffer
        if dialect.native == nil {
            let (value, body) = try await call.document(upTo: limits.submissionBytes)
            (submission, bytes) = (dialect == .canonical ? .canonical(value) : .simple(value), body)
        } else {
            let (payload, body) = try await call.payload(upTo: limits.submissionBytes)
            (submission, bytes) = (.native(dialect, payload), body)
        }
        let digest =
            isDigestNeeded ? Digest.sha256(Array("\(dialect.rawValue)\0".utf8) + Array(bytes.readableBytesView)) : []
        return (submission, digest)
    }

    /// `message/rfc822` with the envelope in `?from=` and repeated `?to=`, else taken from the header.
    private func raw(_ call: Call, upTo limit: Int) async throws -> RawSubmission {
        guard let type = call.request.headers[.contentType], type.hasMediaType("message/rfc822") else {
            throw PosternError(
                .unsupportedMediaType, "a finished message is expected",
                fix: "Send it with Content-Type: message/rfc822.")
        }
        var query = Query(call.request)
        let sender = query.text("from").flatMap { Self.address($0, "from", &query) }
        let recipients = query.all("to").compactMap { Self.address($0, "to", &query) }
        try query.finish()
        let bytes = try await call.body(upTo: limit)
        return RawSubmission(
            bytes: Array(bytes.readableBytesView), sender: sender, recipients: recipients,
            trace: .init(
                hello: nil, address: call.context.remoteAddress, protocolName: "HTTP", hasCheckedLines: false))
    }

    private static func address(_ text: String, _ name: String, _ query: inout Query) -> EmailAddress? {
        do throws(MIMEError) {
            return try EmailAddress(parsing: text)
        } catch {
            query.problem("is not an email address: \(error.message)", name)
            return nil
        }
    }

    private static func idempotencyKey(_ request: Request) throws(PosternError) -> String? {
        guard let key = request.headers[.idempotencyKey] else { return nil }
        return try IdempotencyKey.checked(key)
    }
}
