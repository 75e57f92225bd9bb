// Alert rules: what a vault wants to be told of under /v1, and what those who run the instance do under /api.

import Alerts
import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import Store
import Vaults

struct AlertRuleController: Sendable {
    let rules: AlertRuleRepository
    let vaults: VaultDirectory
    /// What stands where nobody wrote a rule.
    let defaults: AlertDefaults

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/alert-rules", .alertRuleRead, isGateway: false) {
                try await list($0, in: .vault($0.vault))
            },
            Endpoint(.post, "/v1/alert-rules", .alertRuleWrite, isGateway: false) {
                try await create($0, in: .vault($0.vault))
            },
            Endpoint(.get, "/v1/alert-rules/{id}", .alertRuleRead, isGateway: false) {
                try await show($0, in: .vault($0.vault))
            },
            Endpoint(.patch, "/v1/alert-rules/{id}", .alertRuleWrite, isGateway: false) {
                try await change($0, in: .vault($0.vault))
            },
            Endpoint(.delete, "/v1/alert-rules/{id}", .alertRuleWrite, isGateway: false) {
                try await delete($0, in: .vault($0.vault))
            },
            .instance(.get, "/api/alert-rules", .alertRuleRead) { try await list($0, in: .instance) },
            .instance(.post, "/api/alert-rules", .alertRuleWrite) { try await create($0, in: .instance) },
            .instance(.get, "/api/alert-rules/{id}", .alertRuleRead) { try await show($0, in: .instance) },
            .instance(.patch, "/api/alert-rules/{id}", .alertRuleWrite) { try await change($0, in: .instance) },
            .instance(.delete, "/api/alert-rules/{id}", .alertRuleWrite) { try await delete($0, in: .instance) },
        ]
    }

    /// All of them, there are few; and the rules that hold for conditions that none of them is about: the shipped ones, and
    /// for a vault the instance's.
    private func list<Who>(_ call: Asking<Who>, in scope: AlertScope) async throws -> Response {
        var query = Query(call.request)
        try query.finish()
        let found = try await rules.list(in: scope)
        let written = Set(found.map(\.condition))
        let above = scope == .instance ? [] : try await rules.list(in: .instance)
        let inherited = AlertRuleBook(above, defaults: defaults)
        let conditions = AlertCondition.allCases.filter { scope == .instance || $0.traits.isOfVaults }
        return .json { writer in
            writer.object { writer in
                writer.name("data")
                writer.array { writer in
                    for rule in found { write(rule, to: &writer) }
                }
                writer.member("next_cursor", nil as String?)
                writer.name("inherited")
                writer.array { writer in
                    for rule in conditions.flatMap(inherited.rules) {
                        let isInForce = !written.contains(rule.condition)
                        Self.write(inherited: rule, isInForce: isInForce, for: scope, to: &writer)
                    }
                }
            }
        }
    }

    private func create<Who: Named>(_ call: Asking<Who>, in scope: AlertScope) async throws -> Response {
        let form = try AlertRuleForm(try await call.form(), isChange: false)
        guard let condition = form.condition else { throw PosternError(.validationFailed, "a rule has a condition") }
        let now = call.clock.now()
        var rule = AlertRule(
            id: call.ids.next(), vault: scope.vault, condition: condition, createdAt: now, updatedAt: now)
        try form.apply(to: &rule, domains: try await domains(scope))
        try await rules.insert(rule, in: scope, audit: call.audits(.alertRuleWrite))
        return .json(status: .created) { [rule] writer in write(rule, to: &writer) }
    }

    private func show<Who>(_ call: Asking<Who>, in scope: AlertScope) async throws -> Response {
        guard let rule = try await rules.find(try call.id(AlertRuleKind.self), in: scope) else { throw Self.missing }
        return .json { writer in write(rule, to: &writer) }
    }

    /// What the body does not name stays as it is; what it names as null is as shipped again.
    private func change<Who: Named>(_ call: Asking<Who>, in scope: AlertScope) async throws -> Response {
        let id = try call.id(AlertRuleKind.self)
        let form = try AlertRuleForm(try await call.form(), isChange: true)
        let domains = try await domains(scope)
        let changed = try await rules.update(
            id, in: scope, at: call.clock.now(), audit: call.audits(.alertRuleWrite)
        ) { rule in try form.apply(to: &rule, domains: domains) }
        guard let changed else { throw Self.missing }
        return .json { writer in write(changed, to: &writer) }
    }

    private func delete<Who: Named>(_ call: Asking<Who>, in scope: AlertScope) async throws -> Response {
        let deleted = try await rules.delete(
            try call.id(AlertRuleKind.self), in: scope, audit: call.audits(.alertRuleWrite))
        guard deleted else { throw Self.missing }
        return Response(status: .noContent)
    }

    private func domains(_ scope: AlertScope) async throws -> [DomainPattern]? {
        guard let vault = scope.vault else { return nil }
        return try await vaults.settings(of: vault).value(Settings.allowedSenderDomains) ?? []
    }

    private static let missing = PosternError(.notFound, "there is no such alert rule")

    private func write(_ rule: AlertRule, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("id", rule.id.text)
            writer.member("condition", rule.condition.rawValue)
            writer.member("is_enabled", rule.isEnabled)
            writer.terms(defaults.terms(rule))
            writer.member("created_at", rule.createdAt)
            writer.member("updated_at", rule.updatedAt)
        }
    }

    private static func write(
        inherited rule: AlertRuleBook.Rule,
        isInForce: Bool,
        for scope: AlertScope,
        to writer: inout JSONWriter
    ) {
        var terms = rule.terms
        // Whom the operator tells is the operator's business, and a vault is told by its own rules only.
        if scope != .instance { terms.channels = [] }
        writer.object { [terms] writer in
            writer.member("condition", rule.condition.rawValue)
            writer.member("is_in_force", isInForce)
            writer.terms(terms)
        }
    }
}

extension JSONWriter {
    fileprivate mutating func terms(_ terms: AlertTerms) {
        number("threshold", terms.threshold)
        number("minimum", terms.minimum)
        member("window_seconds", terms.window)
        member("cooldown_seconds", terms.cooldown)
        member("severity", terms.severity.rawValue)
        member("channels", terms.channels.map(\.rawValue))
        member("from", terms.sender)
        member("recipients", terms.recipients)
    }

    private mutating func number(_ name: String, _ value: Int?) {
        if let value { member(name, value) } else { member(name, JSONValue.null) }
    }
}
