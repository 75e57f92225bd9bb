// What a vault wants a person to look at first when an agent sends it. There is no approval yet, so it is refused.

package import Model

package struct AgentApprovalRule: PolicyRule {
    package init() {}

    package func judge(_ envelope: Envelope, _ context: PolicyContext) throws(PosternError) {
        guard context.caller.agent != nil, try context.settings.require(Settings.agentSendRequiresApproval) else {
            return
        }
        throw PosternError(
            .approvalRequired,
            "\(context.caller.label) is an agent, and agent_send_requires_approval is on in this vault",
            fix: "Have a person or a tool send it, or switch the setting agent_send_requires_approval off.")
    }
}
