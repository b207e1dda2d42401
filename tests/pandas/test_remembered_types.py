"""What a frame's types were changes how later rows come back, and never their values."""

import numpy as np
import pandas as pd
import pyarrow as pa

import atomic_manifest as am


def test_a_later_value_that_half_floats_cannot_hold_comes_back_exactly() -> None:
    url = "memory://remembered-half-floats"
    am.append(url, pd.DataFrame({"x": np.array([1.5, np.nan], dtype="float16")}))
    assert am.Table.open(url).to_pandas()["x"].dtype == np.float16
    later = np.float32(1.1)
    am.append(url, pa.table({"x": pa.array([later], pa.float32())}))
    assert am.Table.open(url).to_pandas()["x"].tolist()[0::2] == [1.5, float(later)]


def test_categoricals_that_outgrow_the_codes_of_the_first_frame_stay_categoricals() -> None:
    url = "memory://remembered-categories"
    for prefix in "ab":
        frame = pd.DataFrame({"x": pd.Categorical([f"{prefix}{number}" for number in range(100)])})
        am.append(url, frame)
    found = am.Table.open(url).to_pandas()["x"]
    assert isinstance(found.dtype, pd.CategoricalDtype)
    assert len(found.cat.categories) == 200
