// IP pools: which sending addresses a From domain uses when a message names none.

import Gate
import HTTPTypes
import Hummingbird
import JSON
import MIME
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
            Endpoint(.patch, "/v1/ip-pools/{id}", .poolWrite, change),
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
        let form = try PoolForm(try await call.form())
        guard let domain = form.domain, let name = form.pool, let ips = form.ips else { throw Self.incomplete }
        let now = clock.now()
        let pool = IPPool(
            id: ids.next(), vault: call.vault, domain: domain, pool: name, ips: ips, createdAt: now, updatedAt: now)
        try await Self.refusingTwins { try await pools.insert(pool, in: call.vault, audit: Self.audit(call)) }
        vaults.invalidate(call.vault)
        return .json(status: .created) { writer in Self.write(pool, to: &writer) }
    }

    @Sendable private func show(_ call: Call) async throws -> Response {
        let pool = try await find(call)
        return .json { writer in Self.write(pool, to: &writer) }
    }

    @Sendable private func replace(_ call: Call) async throws -> Response {
        try await apply(try PoolForm(try await call.form()), call)
    }

    /// What the body does not name stays as it is.
    @Sendable private func change(_ call: Call) async throws -> Response {
        try await apply(try PoolForm(try await call.form(), isPartial: true), call)
    }

    private func apply(_ form: PoolForm, _ call: Call) async throws -> Response {
        let id = try call.id(PoolKind.self)
        let changed = try await Self.refusingTwins {
            try await pools.update(
                id, in: call.vault, at: clock.now(), rule: vaults.poolRule, audit: Self.audit(call)
            ) { pool in
                if let domain = form.domain { pool.domain = domain }
                if let name = form.pool { pool.pool = name }
                if let ips = form.ips { pool.ips = ips }
            }
        }
        guard let changed else { throw Self.missing }
        vaults.invalidate(call.vault)
        return .json { writer in Self.write(changed, to: &writer) }
    }

    @Sendable private func delete(_ call: Call) async throws -> Response {
        let deleted = try await pools.delete(
            try call.id(PoolKind.self), in: call.vault, rule: vaults.poolRule, audit: Self.audit(call))
        guard deleted else { throw Self.missing }
        vaults.invalidate(call.vault)
        return Response(status: .noContent)
    }

    private static func audit(_ call: Call) -> AuditMaker {
        { resource, before, after in call.audit(.poolWrite, resource, before: before, after: after) }
    }

    private func find(_ call: Call) async throws -> IPPool {
        guard let pool = try await pools.find(try call.id(PoolKind.self), in: call.vault) else { throw Self.missing }
        return pool
    }

    private static let missing = PosternError(.notFound, "there is no such pool")
    private static let incomplete = PosternError(.validationFailed, "a pool has domain, pool and ips")

    private static func refusingTwins<Value>(_ work: () async throws -> Value) async throws -> Value {
        do {
            return try await work()
        } catch let error as SQLError where error.code == .constraint {
            throw PosternError(
                .conflict, "the domain has a pool already", fix: "Change that pool with PATCH /v1/ip-pools/{id}.")
        }
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

/// The body of a call that makes or changes a pool, with everything in the one way of writing it.
private struct PoolForm: Sendable {
    var domain: String?
    var pool: String?
    var ips: [String]?

    /// - Parameter isPartial: whether fields may be missing.
    init(_ reader: JSONReader, isPartial: Bool = false) throws(PosternError) {
        var reader = reader
        let names = ["domain", "pool", "ips"]
        let (domain, pool, ips) = (reader.string("domain"), reader.string("pool"), reader.strings("ips"))
        if isPartial {
            // A pool has all three, so none can be taken away.
            for name in names where reader.isNull(name) { reader.problem("must not be null", at: name) }
        } else {
            _ = reader.required("domain", domain)
            _ = reader.required("pool", pool)
            _ = reader.required("ips", ips)
        }
        if let domain {
            self.domain = EmailAddress.normalizedDomain(domain)
            if self.domain == nil { reader.problem("\"\(domain.prefix(100))\" is not a domain", at: "domain") }
        }
        if let pool, !IPPools.isName(pool) { reader.problem("must have \(IPPools.nameRule)", at: "pool") }
        self.pool = pool
        self.ips = ips.map { Self.addresses($0, &reader) }
        reader.finish()
        if isPartial, reader.problems.isEmpty, domain == nil, pool == nil, ips == nil {
            reader.problem("names nothing to change: \(names.joined(separator: ", "))")
        }
        guard reader.problems.isEmpty else { throw .validation(reader.problems) }
    }

    private static func addresses(_ texts: [String], _ reader: inout JSONReader) -> [String] {
        let pointer = reader.pointer(to: "ips")
        guard (1...100).contains(texts.count) else {
            // A list that held no texts at all has been complained of already.
            if reader.problems.isEmpty { reader.problem("must hold 1 to 100 addresses", at: "ips") }
            return []
        }
        var addresses: [String] = []
        var places: [String: Int] = [:]
        var problems: [JSONProblem] = []
        for (index, text) in texts.enumerated() {
            guard let address = SendingAddress.normalized(text) else {
                let message = "\"\(text.prefix(64))\" is not an IP address"
                problems.append(JSONProblem(pointer: "\(pointer)/\(index)", message: message))
                continue
            }
            if let first = places.updateValue(index, forKey: address) {
                let message = "\(address) stands at \(pointer)/\(first) already"
                problems.append(JSONProblem(pointer: "\(pointer)/\(index)", message: message))
            }
            addresses.append(address)
        }
        reader.adopt(problems)
        return addresses
    }
}
