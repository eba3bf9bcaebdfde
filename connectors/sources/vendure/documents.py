"""What is asked of Vendure for an order, in GraphQL."""

ORDER = """
  id code state currencyCode total totalWithTax subTotal subTotalWithTax shippingWithTax couponCodes
  customer { id }
  shippingAddress { streetLine1 }
  billingAddress { streetLine1 }
  shippingLines { shippingMethod { id } }
  lines { id quantity productVariant { id } }
  payments { transactionId metadata }
"""
ERROR = "... on ErrorResult { errorCode message }"
TRANSITION = f"""
  {ERROR}
  ... on OrderStateTransitionError {{ errorCode message transitionError }}
"""
FIND = f"""
query($options: OrderListOptions) {{ orders(options: $options) {{ items {{ {ORDER} }} }} }}
"""
READ = f"query($id: ID!) {{ order(id: $id) {{ {ORDER} }} }}"
HISTORY = """
  history(options: { take: 1, sort: { createdAt: ASC } }) {
    items { administrator { user { id } } }
  }
"""
"""Who made it."""
DRAFTS = """
query($options: OrderListOptions) {
  orders(options: $options) {
    items {
      id
      totalQuantity
      customer { id }
      shippingAddress { streetLine1 }
      HISTORY
    }
  }
}
""".replace("HISTORY", HISTORY)
CREATE = f"mutation {{ createDraftOrder {{ id {HISTORY} }} }}"
DELETE = "mutation($id: ID!) { deleteDraftOrder(orderId: $id) { result message } }"
ADD = f"""
mutation($id: ID!, $input: AddItemToDraftOrderInput!) {{
  addItemToDraftOrder(orderId: $id, input: $input) {{
    __typename {ERROR}
    ... on InsufficientStockError {{ errorCode message quantityAvailable }}
  }}
}}
"""
ADJUST = f"""
mutation($id: ID!, $input: AdjustDraftOrderLineInput!) {{
  adjustDraftOrderLine(orderId: $id, input: $input) {{ __typename {ERROR} }}
}}
"""
CUSTOMERS = """
query($options: CustomerListOptions) { customers(options: $options) { items { id } } }
"""
SET_CUSTOMER = f"""
mutation($id: ID!, $customer: ID, $input: CreateCustomerInput) {{
  setCustomerForDraftOrder(orderId: $id, customerId: $customer, input: $input) {{
    __typename {ERROR}
  }}
}}
"""
SHIP_TO = """
mutation($id: ID!, $input: CreateAddressInput!) {
  setDraftOrderShippingAddress(orderId: $id, input: $input) { id }
}
"""
BILL_TO = """
mutation($id: ID!, $input: CreateAddressInput!) {
  setDraftOrderBillingAddress(orderId: $id, input: $input) { id }
}
"""
METHODS = """
query($id: ID!) { eligibleShippingMethodsForDraftOrder(orderId: $id) { id code priceWithTax } }
"""
SHIP_BY = f"""
mutation($id: ID!, $method: ID!) {{
  setDraftOrderShippingMethod(orderId: $id, shippingMethodId: $method) {{ __typename {ERROR} }}
}}
"""
CHANNEL = "query { activeChannel { pricesIncludeTax defaultLanguageCode } }"
PROMOTIONS = """
query($options: PromotionListOptions) { promotions(options: $options) { items { id } } }
"""
PROMOTE = f"""
mutation($input: CreatePromotionInput!) {{
  createPromotion(input: $input) {{ __typename {ERROR} }}
}}
"""
UNPROMOTE = "mutation($id: ID!) { deletePromotion(id: $id) { result } }"
APPLY = f"""
mutation($id: ID!, $code: String!) {{
  applyCouponCodeToDraftOrder(orderId: $id, couponCode: $code) {{ __typename {ERROR} }}
}}
"""
UNAPPLY = """
mutation($id: ID!, $code: String!) {
  removeCouponCodeFromDraftOrder(orderId: $id, couponCode: $code) { id }
}
"""
MOVE = f"""
mutation($id: ID!, $state: String!) {{
  transitionOrderToState(id: $id, state: $state) {{ __typename {TRANSITION} }}
}}
"""
PAY = f"""
mutation($input: ManualPaymentInput!) {{
  addManualPaymentToOrder(input: $input) {{ __typename {ERROR} }}
}}
"""
NOTE = "mutation($input: AddNoteToOrderInput!) { addNoteToOrder(input: $input) { id } }"
CANCEL = f"""
mutation($input: CancelOrderInput!) {{
  cancelOrder(input: $input) {{ __typename {TRANSITION} }}
}}
"""
