"""Balance and coupling of the layers of a network (Mulayoff & Michaeli 2020)."""

from flatminima.statistics.statistic import Statistic

LAYER = ("layer",)
TRAINED = ("training",)
LINEAR = ("training", "theory")
IDENTITIES = "theory.md#identities-derived"
NULLS = "evidence.md#nulls-of-coupling-m5"

COUPLING = {
    "end_to_end_gain": Statistic(
        "End-to-end gain",
        r"\rho",
        "Gain of the whole network along the path: of the minimiser's direction in linear "
        "networks, of the top singular pair of a sample's Jacobian in others.",
        IDENTITIES,
        LINEAR,
        quantiles=True,
    ),
    "path_gain_fraction": Statistic(
        "Share of the largest gain",
        r"\rho / \lVert T\rVert_2",
        "End-to-end gain of the path over the largest singular value of the end-to-end map.",
        IDENTITIES,
        LINEAR,
    ),
    "path_gain": Statistic(
        "Path gain",
        r"g_k = \lVert W_k\cdots W_1q\rVert / \rho^{k/m}",
        "Gain along the path after layer k, relative to that of equal steps; one at a flattest minimum.",
        IDENTITIES,
        LINEAR,
        within=LAYER,
        worst="far from one",
        quantiles=True,
    ),
    "path_cosine": Statistic(
        "Path cosine",
        r"\gamma_k = \cos(W_k\cdots W_1q,\ (W_m\cdots W_{k+1})^\top u)",
        "Agreement of the two sides of the interface after layer k on the path; one at a flattest minimum.",
        IDENTITIES,
        LINEAR,
        within=LAYER,
        worst="small",
        quantiles=True,
    ),
    "path_residual": Statistic(
        "Path residual",
        r"\lVert W_k^\top p_k - \rho^{1/m}p_{k-1}\rVert / \rho^{1/m}",
        "How far layer k is from carrying the path back by equal steps; zero at a flattest minimum in layers 2 to m.",
        IDENTITIES,
        LINEAR,
        within=LAYER,
        worst="large",
        quantiles=True,
    ),
    "own_gain": Statistic(
        "Own path's gain",
        "",
        "Path gain along the top singular pair of the network's own end-to-end map; one at a flattest minimum for "
        "white inputs.",
        NULLS,
        TRAINED,
        within=LAYER,
        worst="far from one",
    ),
    "own_cosine": Statistic(
        "Own path's cosine",
        "",
        "Path cosine along the top singular pair of the network's own end-to-end map; one at a flattest minimum for "
        "white inputs.",
        NULLS,
        TRAINED,
        within=LAYER,
        worst="small",
    ),
    "left_residual": Statistic(
        "Left residual",
        r"\lVert W_kW_k^\top p_k - r\,p_k\rVert / r,\ r = \rho^{2/m}",
        "How far the path after layer k is from a left singular vector of layer k with the path's value.",
        IDENTITIES,
        LINEAR,
        within=LAYER,
        worst="large",
    ),
    "right_residual": Statistic(
        "Right residual",
        r"\lVert W_{k+1}^\top W_{k+1}p_k - r\,p_k\rVert / r",
        "How far the path after layer k is from a right singular vector of layer k + 1 with the path's value.",
        IDENTITIES,
        LINEAR,
        within=LAYER,
        worst="large",
    ),
    "singular_overlap": Statistic(
        "Singular overlap",
        r"\max_{ij}\lvert\langle u_i(W_k), v_j(W_{k+1})\rangle\rvert",
        "Largest overlap of a left singular vector of layer k with a right singular vector of layer k + 1.",
        IDENTITIES,
        LINEAR,
        within=LAYER,
        worst="small",
    ),
    "product_norm": Statistic(
        "Largest gain",
        r"\lVert W_k\cdots W_1C\rVert_2 / (\lVert Cp\rVert\,\rho^{k/m})",
        "Largest gain of the first k layers, relative to that of equal steps along the path.",
        IDENTITIES,
        LINEAR,
        within=LAYER,
        worst="far from one",
        quantiles=True,
    ),
    "band_upper": Statistic(
        "Upper end of the band",
        r"\sqrt{m - \lambda_{\min}(S_x)/\lVert Cp\rVert^2}",
        "Largest value that `product_norm` may have at a flattest minimum.",
        IDENTITIES,
        LINEAR,
        within=LAYER,
    ),
    "balance_defect": Statistic(
        "Balance defect",
        r"\lVert W_{k+1}^\top W_{k+1} - W_kW_k^\top\rVert_F",
        "How far layers k and k + 1 are from balanced; gradient flow conserves it, and from zero residuals it is zero.",
        IDENTITIES,
        LINEAR,
        within=LAYER,
    ),
}
