// IP pools: which sending addresses a From domain uses when a message names none.

import Gate
import HTTPTypes
import Hummingbird
import JSON
import MIME
import Mapping
import Model
import SQL
import Store
import Vaults

struct PoolController: Sendable {
    let pools: IPPoolRepository
    let vaults: VaultDirectory
    let clock: any WallClock
    let ids: IdentifierGenerator

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/ip-pools", .poolRead, list),
            Endpoint(.post, "/v1/ip-pools", .poolWrite, create),
            Endpoint(.get, "/v1/ip-pools/{id}", .poolRead, show),
            Endpoint(.put, "/v1/ip-pools/{id}", .poolWrite, replace),
            Endpoint(.delete, "/v1/ip-pools/{id}", .poolWrite, delete),
        ]
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        var query = Query(call.request)
        let page = query.page()
        try query.finish()
        let found = try await pools.list(in: call.vault, page: page)
        return .list(found, limit: page.limit, cursor: \.id.text) { pool, writer in Self.write(pool, to: &writer) }
    }

    @Sendable private func create(_ call: Call) async throws -> Response {
        let form = try Self.form(try await call.form())
        let now = clock.now()
        let pool = IPPool(
            id: ids.next(), vault: call.vault, domain: form.domain, pool: form.pool, ips: form.ips, createdAt: now,
            updatedAt: now)
        try await Self.refusingTwins { try await pools.insert(pool, in: call.vault) }
        vaults.invalidate(call.vault)
        return .json(status: .created) { writer in Self.write(pool, to: &writer) }
    }

    @Sendable private func show(_ call: Call) async throws -> Response {
        let pool = try await find(call)
        return .json { writer in Self.write(pool, to: &writer) }
    }

    @Sendable private func replace(_ call: Call) async throws -> Response {
        var pool = try await find(call)
        let form = try Self.form(try await call.form())
        (pool.domain, pool.pool, pool.ips, pool.updatedAt) = (form.domain, form.pool, form.ips, clock.now())
        let changed = pool
        guard try await Self.refusingTwins({ try await pools.update(changed, in: call.vault) }) else {
            throw Self.missing
        }
        vaults.invalidate(call.vault)
        return .json { writer in Self.write(changed, to: &writer) }
    }

    @Sendable private func delete(_ call: Call) async throws -> Response {
        guard try await pools.delete(try call.id(PoolKind.self), in: call.vault) else { throw Self.missing }
        vaults.invalidate(call.vault)
        return Response(status: .noContent)
    }

    private func find(_ call: Call) async throws -> IPPool {
        guard let pool = try await pools.find(try call.id(PoolKind.self), in: call.vault) else { throw Self.missing }
        return pool
    }

    private static let missing = PosternError(.notFound, "there is no such pool")

    private static func refusingTwins<Value>(_ work: () async throws -> Value) async throws -> Value {
        do {
            return try await work()
        } catch let error as SQLError where error.code == .constraint {
            throw PosternError(
                .conflict, "the domain has a pool already", fix: "Change that pool with PUT /v1/ip-pools/{id}.")
        }
    }

    private static func form(
        _ reader: JSONReader
    ) throws(PosternError) -> (domain: String, pool: String, ips: [String]) {
        var reader = reader
        let domain = reader.required("domain", reader.string("domain"))
        let normalized = domain.flatMap(EmailAddress.normalizedDomain)
        if let domain, normalized == nil { reader.problem("\"\(domain.prefix(100))\" is not a domain", at: "domain") }
        let pool = reader.required("pool", reader.string("pool"))
        if let pool { checkLabel(pool, "pool", &reader) }
        let ips = reader.required("ips", reader.strings("ips")) ?? []
        for ip in ips where !IPAddress.isValid(ip) {
            reader.problem("\"\(ip.prefix(64))\" is not an IP address", at: "ips")
        }
        if ips.count > 100 || (ips.isEmpty && reader.problems.isEmpty) {
            reader.problem("must hold 1 to 100 addresses", at: "ips")
        }
        reader.finish()
        guard reader.problems.isEmpty, let normalized, let pool else { throw .validation(reader.problems) }
        return (normalized, pool, ips)
    }

    private static func write(_ pool: IPPool, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("id", pool.id.text)
            writer.member("domain", pool.domain)
            writer.member("pool", pool.pool)
            writer.member("ips", pool.ips)
            writer.member("created_at", pool.createdAt)
            writer.member("updated_at", pool.updatedAt)
        }
    }
}
