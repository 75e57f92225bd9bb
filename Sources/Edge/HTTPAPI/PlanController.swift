// Plans: what vaults may have, seen by admins of the instance and edited by its owners.

import HTTPTypes
import Hummingbird
import JSON
import Model
import Store
import Vaults

struct PlanController: Sendable {
    let vaults: VaultDirectory

    /// Where agents may be deployed to: that many places at most, with names of at most that length.
    private static let targets = (count: 20, length: 32)

    var endpoints: [Endpoint] {
        [
            .instance(.get, "/api/plans", .planRead, list),
            .instance(.put, "/api/plans/{name}", .planWrite, set),
            .instance(.delete, "/api/plans/{name}", .planWrite, delete),
        ]
    }

    /// All of them: there are a few dozen at most.
    @Sendable private func list(_ call: PersonCall) async throws -> Response {
        var query = Query(call.request)
        try query.finish()
        let plans = try await vaults.allPlans()
        return .list(plans, limit: .max, cursor: \.name) { plan, writer in Self.write(plan, to: &writer) }
    }

    /// The whole plan: a limit that is not named is none.
    @Sendable private func set(_ call: PersonCall) async throws -> Response {
        var reader = try await call.form()
        var limits = PlanLimitChanges()
        if var fields = reader.required("limits", reader.reader("limits")) {
            limits = PlanLimitChanges(&fields)
            reader.adopt(fields.problems)
        }
        let features = reader.required("features", Self.features(&reader))
        let targets = Self.targets(&reader)
        reader.finish()
        guard reader.problems.isEmpty, let features else { throw PosternError.validation(reader.problems) }
        let plan = Plan(
            name: call.parameter("name"), limits: limits.applied(to: PlanLimits()), features: features,
            deployTargets: targets)
        let isNew = try await vaults.setPlan(plan, audit: call.audits(.planWrite))
        guard let plan = try await vaults.plan(plan.name) else { throw Self.missing }
        return .json(status: isNew ? .created : .ok) { writer in Self.write(plan, to: &writer) }
    }

    /// A shipped plan is as it was shipped again; one of one's own is gone.
    @Sendable private func delete(_ call: PersonCall) async throws -> Response {
        try await call.checkNothingIsGiven()
        guard try await vaults.deletePlan(call.parameter("name"), audit: call.audits(.planWrite)) else {
            throw Self.missing
        }
        return Response(status: .noContent)
    }

    private static let missing = PosternError(
        .notFound, "there is no such plan", fix: "GET /api/plans lists the plans.")

    private static func features(_ reader: inout JSONReader) -> Set<PlanFeature>? {
        guard let names = reader.strings("features") else { return nil }
        var features: Set<PlanFeature> = []
        for (index, name) in names.enumerated() {
            guard let feature = PlanFeature(rawValue: name) else {
                let all = PlanFeature.allCases.map(\.rawValue).joined(separator: ", ")
                reader.adopt([
                    JSONProblem(pointer: "\(reader.pointer(to: "features"))/\(index)", message: "must be one of \(all)")
                ])
                continue
            }
            features.insert(feature)
        }
        return features
    }

    private static func targets(_ reader: inout JSONReader) -> [String]? {
        guard let names = reader.strings("deploy_targets") else { return nil }
        let isGood = names.allSatisfy {
            (1...targets.length).contains($0.utf8.count) && $0.utf8.allSatisfy { $0 > 0x20 }
        }
        if names.count > targets.count || !isGood {
            reader.problem(
                "must hold at most \(targets.count) names of at most \(targets.length) characters, or be null for anywhere",
                at: "deploy_targets")
        }
        return names
    }

    private static func write(_ plan: Plan, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("name", plan.name)
            writer.member("limits", plan.limits.json)
            writer.member("features", plan.features.map(\.rawValue).sorted())
            writer.member("deploy_targets", plan.deployTargets.map { .array($0.map(JSONValue.string)) } ?? .null)
            writer.member("shipped", ShippedPlans.plan(plan.name) != nil)
            writer.member("updated_at", plan.updatedAt)
        }
    }
}
