// A vault's secrets: set, listed by name, taken away, sealed anew. A value comes in and never goes out.

import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import Sealing
import Store
import Vaults

struct SecretController: Sendable {
    let vaults: VaultDirectory

    /// Bytes of a value.
    private static let valueLimit = 16 * 1024

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/secrets", .secretRead, isGateway: false, list),
            Endpoint(.put, "/v1/secrets/{name}", .secretWrite, isGateway: false, set),
            Endpoint(.delete, "/v1/secrets/{name}", .secretWrite, isGateway: false, delete),
            Endpoint(.post, "/v1/secrets/rotate", .secretWrite, isGateway: false, rotate),
        ]
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        var query = Query(call.request)
        try query.finish()
        let secrets = try await vaults.secretList(in: call.vault)
        return .json { writer in
            writer.object { writer in
                writer.name("data")
                writer.array { writer in
                    for secret in secrets { Self.write(secret, to: &writer) }
                }
                writer.member("next_cursor", nil as String?)
            }
        }
    }

    @Sendable private func set(_ call: Call) async throws -> Response {
        let name = try Self.name(call)
        guard Self.isName(name) else {
            throw PosternError.validation([
                JSONProblem(pointer: "", message: "has a name of other than 1 to 64 characters of a-z, 0-9 and _")
            ])
        }
        var reader = try await call.form()
        let value = reader.required("value", reader.string("value"))
        if let value, !(1...Self.valueLimit).contains(value.utf8.count) {
            reader.problem("must have 1 to \(Self.valueLimit) bytes", at: "value")
        }
        reader.finish()
        guard reader.problems.isEmpty, let value else { throw PosternError.validation(reader.problems) }
        let secret = try await vaults.setSecret(
            name, to: Secret(value), in: call.vault, audit: call.audits(.secretWrite))
        return .json { writer in Self.write(secret, to: &writer) }
    }

    @Sendable private func delete(_ call: Call) async throws -> Response {
        let name = try Self.name(call)
        guard Self.isName(name),
            try await vaults.deleteSecret(name, in: call.vault, audit: call.audits(.secretWrite))
        else { throw PosternError(.notFound, "there is no such secret in this vault") }
        return Response(status: .noContent)
    }

    @Sendable private func rotate(_ call: Call) async throws -> Response {
        var reader = try await call.optionalForm()
        reader.finish()
        guard reader.problems.isEmpty else { throw PosternError.validation(reader.problems) }
        let count = try await vaults.rotateDataKey(of: call.vault, audit: call.audits(.secretWrite))
        return .json { writer in writer.object { $0.member("rotated", count) } }
    }

    private static func name(_ call: Call) throws(PosternError) -> String {
        guard let name = call.context.parameters.get("name") else {
            throw PosternError(.notFound, "there is no such secret in this vault")
        }
        return name
    }

    private static func isName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    private static func write(_ secret: SecretRepository.Name, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("name", secret.name)
            writer.member("updated_at", secret.updatedAt)
        }
    }
}
