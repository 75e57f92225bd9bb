// What a vault uses of what its plan allows.

import Hummingbird
import JSON
import Model
import Store
import Vaults

struct UsageController: Sendable {
    let vaults: VaultDirectory

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/usage", .usageRead, own),
            .ofVault(.get, "/api/vaults/{id}/usage", .usageRead, named),
        ]
    }

    @Sendable private func own(_ call: Call) async throws -> Response { try await answer(call.vault, call.request) }

    @Sendable private func named(_ call: PersonCall, _ vault: Vault) async throws -> Response {
        try await answer(vault.id, call.request)
    }

    private func answer(_ vault: VaultID, _ request: Request) async throws -> Response {
        var query = Query(request)
        try query.finish()
        let usage = try await vaults.usage(of: vault)
        let (standing, limits) = (try await vaults.standing(of: vault), try await vaults.limits(of: vault))
        return .json { writer in
            writer.object { writer in
                writer.member("vault", vault.text)
                writer.member("plan", standing.plan)
                writer.member("features", standing.features.map(\.rawValue).sorted())
                writer.member("limits", limits.json)
                writer.name("used")
                writer.object { writer in
                    writer.member(PlanLimit.agents.rawValue, usage.agents)
                    writer.member(PlanLimit.users.rawValue, usage.users)
                    writer.member(PlanLimit.storageBytes.rawValue, usage.storage)
                }
                writer.name("months")
                writer.array { writer in
                    for month in usage.months {
                        writer.object { writer in
                            writer.member("month", month.period)
                            writer.member(UsageMetric.messages.rawValue, month.messages)
                            writer.member(UsageMetric.calls.rawValue, month.calls)
                        }
                    }
                }
            }
        }
    }
}
