// Whoever asks, of any kind: what the gate's question begins with.

package enum Principal: Hashable, Sendable {
    /// Bound to one vault: an API key, an SMTP user, or a person acting in a vault of theirs.
    case caller(Caller)
    /// Signed in, and not in any vault at the moment.
    case person(Person)
    /// Somebody who has shown nothing.
    case stranger
}

/// What is asked about, as far as the gate has to tell things apart.
package enum Resource: Hashable, Sendable {
    /// A vault, or anything in it.
    case vault(VaultID, VaultStanding)
    /// What belongs to no vault: people, plans, the list of vaults.
    case instance
    /// The asking person's own account.
    case account
    /// What everybody may see or try: liveness, the sign-in.
    case open
}
