/** The name by which fields of a payment provider are shown in the player, from the embedding element's light DOM. */
export const PAY_SLOT = "liveshop-pay";
